"""Did it help? Fine-tuning from a random and from the pre-trained neck and head, under equal conditions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligndet.common.machine import usable_cores
from aligndet.pipeline.codec import NOT_DECISIVE
from aligndet.pipeline.question import Question
from aligndet.pipeline.stage import Stage

OUT = "compare"
ITERS = 1000
BASELINE = "random"


@dataclass(frozen=True)
class CompareRequest:
    """What is compared.

    Attributes:
        detector: config of the detector. weights: of its backbone, for both starts; empty: as its config.
        checkpoint: the pre-trained detector.
        labels, folders: to train on, to validate on, and their images.
        work_dir: of the comparison.
        percent, seeds, lr, iters, batch, schedule, allow_leak: see :class:`..question.Question`.
        options: dotted keys and values. workers: runs at a time. imports: of every run.
        nan_patience: steps in a row of a run that may be not finite.
    """

    detector: str
    checkpoint: str
    labels: tuple[str, ...]
    folders: tuple[str, ...]
    work_dir: str
    weights: str = ""
    image_config: str = ""
    percent: tuple[float, ...] = (100.0,)
    seeds: int = 3
    lr: tuple[float, ...] = ()
    iters: int = ITERS
    batch: int | None = None
    schedule: str = "step"
    allow_leak: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    workers: int = field(default=1, metadata=NOT_DECISIVE)
    imports: tuple[str, ...] = field(default=(), metadata=NOT_DECISIVE)
    nan_patience: int = field(default=3, metadata=NOT_DECISIVE)


def plan(question: Question) -> Stage | None:
    """Where it is asked for."""
    stage = Stage.of(
        __name__,
        f"compare: fine-tune from random and from aligndet ({question.seeds} seeds)",
        request_of(question),
        outputs=(OUT,),
        tokens=(f"{OUT}/results.json",),
        inputs=("DETECTOR", "--train", "--val"),
        after=("images", "backbone", "export"),
    )
    return stage if question.compare and question.label_files else None


def request_of(question: Question) -> CompareRequest:
    """What is asked of this stage."""
    given = bool(question.weights or question.image_config)
    iters = question.compare_iters or ITERS
    return CompareRequest(
        detector=question.detector,
        checkpoint=str(question.path("detector.pth")),
        labels=question.label_files or (),
        folders=question.label_folders,
        work_dir=str(question.path(OUT)),
        weights=str(question.path("backbone.pth")) if given else "",
        image_config=question.image_config or "",
        percent=question.percent,
        seeds=question.seeds,
        lr=question.lr,
        iters=min(iters, question.max_iters or iters),
        batch=question.compare_batch,
        schedule=question.compare_schedule,
        allow_leak=question.allow_leak,
        options=question.finetune_options,
        workers=question.workers or usable_cores(),
        imports=question.imports,
        nan_patience=question.nan_patience,
    )


def check(question: Question) -> str | None:
    """Do all that comes before the first run, but for the checkpoint that is not there yet."""
    if not (question.compare and question.label_files) or question.generate:
        return None
    import tempfile
    from dataclasses import replace

    from aligndet.common.console import Console
    from aligndet.comparison.compare import prepare

    asked = settings(request_of(question), checked=True)
    with tempfile.TemporaryDirectory() as folder:
        prepare(replace(asked, work_dir=Path(folder)), Console(quiet=True))
    runs = 2 * len(asked.iters) * asked.seeds
    rates = ", ".join(f"{rate:g}" for rate in asked.lrs)
    return f"{runs} runs of {request_of(question).iters} iterations, rates {rates}"


def settings(request: CompareRequest, checked: bool = False) -> Any:
    """The question in the words of the comparison.

    Args:
        request: of the stage.
        checked: nothing is run: no labels are split, and the checkpoints are not there yet.
    """
    from aligndet.comparison.question import make_settings

    starts = {BASELINE: None} if checked else {BASELINE: None, "aligndet": request.checkpoint}
    return make_settings(
        request.detector,
        starts,
        train=request.labels[0],
        val=request.labels[1],
        images=request.folders[0],
        val_images=request.folders[1],
        percent=request.percent,
        seeds=request.seeds,
        lr=request.lr or None,
        iters=request.iters,
        batch=request.batch,
        schedule=request.schedule,
        allow_leak=request.allow_leak,
        workers=request.workers,
        cfg_options=_options(request, checked),
        imports=request.imports,
        nan_patience=request.nan_patience,
        out=request.work_dir,
    )


def _options(request: CompareRequest, checked: bool) -> dict[str, Any]:
    """Config options of every run; the backbone of both starts is that of the image domain."""
    from aligndet.common.config_text import raw
    from aligndet.common.configs import read_model
    from aligndet.pipeline.starts import give_weights, trains_detector

    options = dict(request.options)
    if request.weights and not checked:
        model = read_model(request.detector)
        give_weights(model, request.weights, trains_detector(request.image_config))
        options = {"model": {"_delete_": True, **raw(model)}, **options}
    return options


def run(request: CompareRequest) -> dict[str, Any]:
    """Run the comparison; its results as plain data."""
    from aligndet.common.console import Console
    from aligndet.comparison.compare import compare
    from aligndet.comparison.report import write_report

    results = compare(settings(request), Console(verbose=True))
    write_report(results, Path(request.work_dir))
    return results.to_json()


def lines(result: dict[str, Any]) -> list[str]:
    """Points of every start, the difference and the verdict."""
    told = []
    for arm in result["arms"]:
        means = [f"{name} {arm[name]:.1f}" for name in result["metrics"] if arm.get(name) is not None]
        told.append(f"{arm['start']} at {arm['percent']:g} %: {', '.join(means) or 'failed'}")
        if gain := arm["difference"]:
            bounds = f" [{gain['low']:+.1f}, {gain['high']:+.1f}]" if gain["low"] is not None else ""
            gained = f"difference {gain['mean']:+.1f}{bounds} AP"
            told.append(f"{gained} over {gain['n']} seeds: {gain['verdict']}")
    return told
