"""What must hold after a training step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.checking.row import Row


class CheckError(AssertionError):
    """A model did not do what it must; the message says what."""


def check_losses(losses: dict[str, Any], row: Row) -> None:
    """Native losses exist and are finite, the contrast is positive, and some slots have instances."""
    values = {key: total(value) for key, value in losses.items() if "loss" in key}
    row.contrast = values.pop("loss_contrast")
    row.losses = sum(values.values())
    infinite = [key for key, value in values.items() if not math.isfinite(value)]
    require(bool(values), "the detector gave no loss of its own")
    require(not infinite, f"losses are not finite: {', '.join(infinite)}")
    require(row.positives > 0, f"none of {row.slots} slots belongs to an instance")
    require(math.isfinite(row.contrast) and row.contrast > 0, f"loss_contrast is {row.contrast}")


def check_gradients(pretrainer: BoxDomainPretrainer) -> None:
    """Every trainable parameter has a gradient, every part one that is not zero, the backbone none.

    A part is a neck, a head, a transformer. A single tensor may have a gradient of zero: deformable attention
    starts with weights of zero, behind which DINO's ``level_embed`` is not felt in the first step.
    """
    named = dict(pretrainer.named_parameters())
    still = {k: p for k, p in named.items() if k.startswith(("online.backbone.", "momentum"))}
    moved = [key for key, p in still.items() if p.grad is not None or p.requires_grad]
    require(not moved, f"{len(moved)} frozen tensors are trained: {some(moved)}")
    trained = {k: p.grad for k, p in named.items() if k not in still and p.requires_grad}
    left = [key for key, grad in trained.items() if grad is None]
    require(not left, f"{len(left)} tensors get no gradient: {some(left)}")
    infinite = [key for key, grad in trained.items() if grad is not None and not grad.isfinite().all()]
    require(not infinite, f"gradients are not finite: {some(infinite)}")
    felt = {part_of(key) for key, grad in trained.items() if grad is not None and grad.any()}
    parts = {part_of(key) for key in trained if key.count(".") > 1}
    require(parts <= felt, f"all gradients are zero in {some(sorted(parts - felt))}")


def part_of(key: str) -> str:
    """``online.neck`` of ``online.neck.convs.0.weight``."""
    return ".".join(key.split(".")[:2])


def check_still(before: dict[str, Tensor], backbone: nn.Module) -> None:
    """Weights and norm statistics of the backbone are what they were."""
    now = backbone.state_dict()
    moved = [key for key, value in before.items() if not torch.equal(value, now[key])]
    require(not moved, f"{len(moved)} tensors of the backbone changed: {some(moved)}")


def total(value: Tensor | list[Tensor]) -> float:
    """Sum of a loss, which may be a list of levels."""
    levels = value if isinstance(value, list) else [value]
    return sum(float(level.detach().mean()) for level in levels)


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise CheckError(otherwise)


def some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
