"""Hooks of a run: freeze the backbone, report progress."""

import os
import time
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from aligndet.box_domain.freezing import freeze, hold_still
from aligndet.common.files import write_json


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
    """Writes ``{"iter", "max_iters", "seconds_per_iter"}`` about every second.

    It also ends a run whose starter is gone, so that starting the comparison again does not meet it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begin = self._last = time.perf_counter()
        self._first_iter = 0
        self._starter = os.getppid()

    def before_train(self, runner: Any) -> None:
        """Remember where a resumed run starts, so that the rate is that of this process."""
        self._begin, self._first_iter = time.perf_counter(), runner.iter

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Report."""
        if os.getppid() != self._starter:
            raise SystemExit("the process that started this run is gone; start the comparison again to go on")
        now = time.perf_counter()
        if now - self._last > 1 or runner.iter + 1 == runner.max_iters:
            self._last = now
            done = runner.iter + 1
            rate = (now - self._begin) / max(1, done - self._first_iter)
            progress = {"iter": done, "max_iters": runner.max_iters, "seconds_per_iter": rate}
            write_json(self.path, progress, durable=False)
