"""A step whose images become NaN within the model, as a forward pass that overflows makes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch import nn

from tests.training.exact import entries, leaves, unequal


@HOOKS.register_module()
class Poison(Hook):
    """Lets the first convolution, of each network that is not shared, give NaN at some steps.

    Args:
        steps: numbered from 1.
    """

    def __init__(self, steps: list[int]) -> None:
        self.steps = steps
        self._handles: list[Any] = []

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter + 1 in self.steps:
            layers = [module for module in runner.model.modules() if isinstance(module, nn.Conv2d)]
            self._handles = [layer.register_forward_hook(_nan) for layer in layers]

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        while self._handles:
            self._handles.pop().remove()


def _nan(layer: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
    return output * torch.nan


def moved(work: Path, before: int, after: int) -> list[str]:
    """List what of model and optimiser is not the same in the checkpoints of two steps."""
    parts = ("/state_dict/", "/optimizer/state/")
    return [name for name in unequal(*_files(work, before, after)) if name.startswith(parts)]


def not_finite_in(path: Path) -> list[str]:
    """List the tensors of a checkpoint that hold NaN or infinity."""
    held = leaves(entries(path), "")
    return [name for name, value in held if torch.is_tensor(value) and not bool(value.isfinite().all())]


def _files(work: Path, *steps: int) -> list[Path]:
    return [work / f"iter_{step}.pth" for step in steps]
