"""Hooks of a run: freeze the backbone, report progress, stop when weights are no longer numbers."""

import os
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from aligndet.box_domain.freezing import freeze, hold_still
from aligndet.common.files import write_json


class DivergedError(RuntimeError):
    """Says that the weights hold NaN or infinity, so that training on is pointless."""


class FreezeBackboneHook(Hook):
    """Keeps a detector's backbone as it was loaded, as box-domain pre-training does.

    No parameter gets a gradient, and norms and what is random are in evaluation mode; other layers keep their
    mode (TridentNet's backbone gives its three branches in training mode only).

    Args:
        detector: with a ``backbone``; frozen at once, before an optimiser is made.
    """

    def __init__(self, detector: Any) -> None:
        self.backbone = detector.backbone
        freeze(self.backbone)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Undo what mmengine does before every iteration: it puts the whole detector into training mode."""
        hold_still(self.backbone)


class WatchHook(Hook):
    """Writes ``{"iter", "max_iters", "seconds"}`` about every second, and raises :class:`DivergedError`.

    It also ends a run whose starter is gone, so that starting the comparison again does not meet it.

    A loss that is not finite is only a reason to look: under AMP such a step is skipped and harmless. The
    weights decide.
    """

    def __init__(self, path: Path, check_every: int = 10) -> None:
        self.path = path
        self.check_every = check_every
        self._begin = self._last = time.perf_counter()
        self._first_iter = 0
        self._starter = os.getppid()

    def before_train(self, runner: Any) -> None:
        """Remember where a resumed run starts, so that the rate is that of this process."""
        self._begin, self._first_iter = time.perf_counter(), runner.iter

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Report, and check the loss of every tenth iteration."""
        if self.every_n_train_iters(runner, self.check_every) or runner.iter + 1 == runner.max_iters:
            self._check(runner, outputs)
        if os.getppid() != self._starter:
            raise SystemExit("the process that started this run is gone; start the comparison again to go on")
        now = time.perf_counter()
        if now - self._last > 1 or runner.iter + 1 == runner.max_iters:
            self._last = now
            done = runner.iter + 1
            rate = (now - self._begin) / max(1, done - self._first_iter)
            progress = {"iter": done, "max_iters": runner.max_iters, "seconds_per_iter": rate}
            write_json(self.path, progress, durable=False)

    def _check(self, runner: Any, outputs: Any) -> None:
        loss = torch.as_tensor((outputs or {}).get("loss", 0.0))
        if bool(torch.isfinite(loss).all()):
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for name, parameter in model.named_parameters():
            if not bool(torch.isfinite(parameter).all()):
                raise DivergedError(f"iteration {runner.iter + 1}: loss {loss.item()}, {name} is not finite")
