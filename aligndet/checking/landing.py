"""Export what was trained, and load it into the unmodified detector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from aligndet.box_domain.adapters import student
from aligndet.checking.conditions import require, some
from aligndet.checking.row import Row
from aligndet.common.checkpoints import read_checkpoint
from aligndet.scopes import scope_of_model
from aligndet.transfer.export import export
from aligndet.transfer.stock import without_downloads


def land(work_dir: Path, out: Path, model: Any, trained: Mapping[str, Tensor], row: Row) -> None:
    """Export the checkpoint of a work dir, and load it as fine-tuning will: only classifiers may be missing.

    Args:
        work_dir: of the training.
        out: the exported file.
        model: of the user's config, in whose scope this runs.
        trained: the online network's tensors, as training left them.
        row: gets the counts.

    Raises:
        CheckError: another tensor is missing, or one that was trained has another value.
        InputError: the checkpoint is not exported.
    """
    report = export(work_dir, out)
    row.kept, row.initial = len(report.kept) + len(report.tiled), len(report.initial)
    stock = plain(model)
    loaded = stock.load_state_dict(read_checkpoint(out)["state_dict"], strict=False)
    row.missing = len(loaded.missing_keys)
    other = sorted(set(loaded.missing_keys) - set(report.classifier))
    require(not other, f"{len(other)} tensors are missing beside classifiers: {some(other)}")
    require(not loaded.unexpected_keys, f"the stock detector does not know {some(loaded.unexpected_keys)}")
    now = stock.state_dict()
    changed = [key for key in report.kept if not torch.equal(now[key], trained[key])]
    require(not changed, f"{len(changed)} tensors changed on the way: {some(changed)}")


def plain(model: Any) -> nn.Module:
    """The detector of a model config as mmdet builds it, its values whatever they are at first; of a
    distillation config, the student."""
    with scope_of_model(model):
        built: nn.Module = MODELS.build(without_downloads(student(model)))
    return built
