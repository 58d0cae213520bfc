"""``detector.pth``, a plain mmdet checkpoint, its safetensors, and ``finetune.py`` that starts from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligndet.pipeline.codec import NOT_DECISIVE
from aligndet.pipeline.question import Question
from aligndet.pipeline.stage import Stage


@dataclass(frozen=True)
class ExportRequest:
    """What is exported.

    Attributes:
        checkpoint: of box-domain pre-training, or its work dir.
        out: folder that the files are written into.
        detector: config of the detector.
        labels: to train on, to validate on; empty without labels. folders: of their images.
        options: dotted keys and values of the fine-tune config.
        imports: modules of the user's, which the fine-tune config imports.
    """

    checkpoint: str
    out: str
    detector: str
    labels: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    imports: tuple[str, ...] = field(default=(), metadata=NOT_DECISIVE)


@dataclass(frozen=True)
class ExportResult:
    """What was exported.

    Attributes:
        checkpoint, safetensors, config: the files.
        kept: tensors taken over. initial, classifier, missing: tensors that start at the stock detector's
            initial values, follow the classes, or are random.
    """

    checkpoint: str
    safetensors: str
    config: str
    kept: int
    initial: int
    classifier: int
    missing: int


def plan(question: Question) -> Stage:
    """Always."""
    return Stage.of(
        __name__,
        "export: a plain mmdet checkpoint, and a config to fine-tune with",
        request_of(question),
        outputs=("detector.pth", "detector.safetensors", "finetune.py"),
        inputs=("DETECTOR", "--train", "--val"),
        after=("images", "box_domain"),
    )


def request_of(question: Question) -> ExportRequest:
    """What is asked of this stage."""
    labels = question.label_files or ()
    return ExportRequest(
        checkpoint=str(question.path("box_domain")),
        out=question.out,
        detector=question.detector,
        labels=labels,
        folders=question.label_folders if labels else (),
        options=question.finetune_options,
        imports=question.imports,
    )


def check(question: Question) -> str | None:
    """Build the fine-tune config with classes and data of the labels."""
    if question.generate:
        return None
    built_config(request_of(question))
    return None


def built_config(request: ExportRequest) -> Any:
    """The fine-tune config."""
    from aligndet.pipeline.finetune_config import finetune_config

    weights = Path(request.out) / "detector.pth"
    labels = request.labels, request.folders
    return finetune_config(request.detector, weights, labels, request.options, request.imports)


def run(request: ExportRequest) -> ExportResult:
    """Export, and write the config."""
    from aligndet.common.configs import read_config
    from aligndet.pipeline.finetune_config import write_finetune, write_labels
    from aligndet.transfer.export import export

    folder = Path(request.out)
    weights, config = folder / "detector.pth", folder / "finetune.py"
    read_config(request.detector)  # imports the modules of the user's that the detector is made of
    report = export(request.checkpoint, weights, safetensors=True)
    write_labels((request.labels, request.folders), folder)
    write_finetune(request.detector, built_config(request), config)
    return ExportResult(
        checkpoint=str(weights),
        safetensors=str(weights.with_suffix(".safetensors")),
        config=str(config),
        kept=len(report.kept) + len(report.tiled),
        initial=len(report.initial),
        classifier=len(report.classifier),
        missing=len(report.missing),
    )


def lines(result: dict[str, Any]) -> list[str]:
    """Counts of tensors."""
    left = f"{result['classifier']} of the classifier left out"
    initial = f", {result['initial']} at initial values" if result["initial"] else ""
    return [f"{result['kept']} tensors kept, {left}{initial}"]
