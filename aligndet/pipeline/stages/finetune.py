"""The user's own fine-tuning, from the exported detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aligndet.pipeline.question import Question
from aligndet.pipeline.stage import Stage
from aligndet.pipeline.training import TrainingRequest

OUT = "finetune"
SCORES = ("coco/bbox_mAP", "bbox_mAP", "pascal_voc/mAP")


@dataclass(frozen=True, kw_only=True)
class FinetuneRequest(TrainingRequest):
    """Asks to train ``config``, the ``finetune.py`` of the out folder."""

    config: str


def plan(question: Question) -> Stage | None:
    """Where it is asked for."""
    if not question.finetune:
        return None
    return Stage.of(
        __name__,
        "fine-tune: from the pre-trained detector",
        FinetuneRequest(
            config=str(question.path("finetune.py")),
            work_dir=str(question.path(OUT)),
            max_iters=question.max_iters,
            amp=question.amp,
            seed=question.seed,
            gpus=question.gpus,
            nan_patience=question.nan_patience,
        ),
        outputs=(OUT,),
        tokens=(f"{OUT}/last_checkpoint",),
        inputs=("DETECTOR", "--train", "--val"),
        after=("export",),
    )


def check(question: Question) -> str | None:
    """Build the config; without labels, its own data must be there."""
    from pathlib import Path

    from aligndet.common.errors import InputError
    from aligndet.pipeline.stages.export import built_config, request_of
    from aligndet.pipeline.training import length

    if not question.finetune:
        return None
    config = built_config(request_of(question))
    for key in ("train_dataloader", "train_cfg", "optim_wrapper"):
        if not config.get(key):
            raise InputError(
                f"{question.detector}: no {key!r} to fine-tune with; give a whole fine-tune config"
            )
    data = config.train_dataloader.get("dataset") or {}
    file = data.get("ann_file")
    if not question.label_files and isinstance(file, str):
        path = Path(file) if Path(file).is_absolute() else Path(data.get("data_root") or "", file)
        if "://" not in str(path) and not path.is_file():
            raise InputError(
                f"--finetune: DETECTOR's train_dataloader.dataset.ann_file {path} is not there; "
                "give --train and --val"
            )
    return length(config, question.max_iters)


def run(request: FinetuneRequest) -> Any:
    """Train."""
    from aligndet.pipeline.training import train_config
    from aligndet.training.config import load_config

    return train_config(load_config(request.config), "config", request)


def lines(result: dict[str, Any]) -> list[str]:
    """The last AP, and the loss at both ends."""
    from aligndet.pipeline.training import ends

    scores = [f"{key} {100 * result['last'][key]:.1f} %" for key in SCORES if key in result["last"]]
    return [*scores[:1], f"{ends(result, 'loss')} in {result['iters']} steps"]
