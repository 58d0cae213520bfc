"""The progress of a training run for people (a console) and for other processes (files of plain data)."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from aligndet.common.console import Console, Progress
from aligndet.common.progress import METRICS_FILE, STAGE

#: What mmengine calls seconds of one step, under names that say so.
RENAMED = {"time": "seconds_per_step", "data_time": "seconds_per_step_for_data"}


class ProgressHook(Hook):
    """Tells how far a run is, and keeps its scalars.

    Runs in the main process only, after mmengine's own logger, and at the steps that the logger logs.

    Args:
        console: what to print to.
        interval: steps between two logged ones.
        most_iters: steps after which the run will be stopped; None is the length of its loop.

    Attributes:
        first, last: scalars of the first and the last logged step.
        metrics: scalars of the last validation.
    """

    priority = "VERY_LOW"

    def __init__(self, console: Console, interval: int, most_iters: int | None = None) -> None:
        self.console, self.interval, self.most_iters = console, interval, most_iters
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.metrics: dict[str, float] = {}
        self._stack = ExitStack()
        self._progress: Progress | None = None

    def before_train(self, runner: Any) -> None:
        """Open the progress line."""
        if is_main_process():
            title = os.environ.get(STAGE) or f"train {Path(runner.work_dir).name}"
            self._progress = self._stack.enter_context(self.console.stage(title))
            self._progress.update(runner.iter, self._total(runner))

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Count the step, and keep its scalars where it is a logged one."""
        if self._progress is None:
            return
        step, total = runner.iter + 1, self._total(runner)
        note = ""
        if self.every_n_inner_iters(batch_idx, self.interval) or step == total:
            self.last = scalars(runner.log_processor.get_log_after_iter(runner, batch_idx, "train")[0])
            self.first = self.first or self.last
            write_metrics(runner, step, total, self.last)
            note = f"loss {self.last['loss']:.4g}" if "loss" in self.last else ""
        self._progress.update(step, total, note)

    def after_val_epoch(self, runner: Any, metrics: Mapping[str, Any] | None = None) -> None:
        """Keep the result of a validation."""
        if self._progress is None:
            return
        self.metrics = scalars(metrics or {})
        write_metrics(runner, runner.iter, self._total(runner), self.metrics)
        shown = [f"{name} {value:.4g}" for name, value in list(self.metrics.items())[:1]]
        shown = shown or ["validation: no detections"]
        self._progress.update(runner.iter, self._total(runner), " · ".join([*self._loss(), *shown]))

    def close(self, error: BaseException | None = None) -> None:
        """End the progress line; an error says that the run did not come to its end."""
        self._progress = None
        self._stack.__exit__(type(error) if error else None, error, None)

    def _loss(self) -> list[str]:
        return [f"loss {self.last['loss']:.4g}"] if "loss" in self.last else []

    def _total(self, runner: Any) -> int:
        return min(runner.max_iters, self.most_iters or runner.max_iters)


def scalars(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among logged values, as plain floats; what is no single number is left out."""
    plain = {}
    for name, value in values.items():
        if getattr(value, "size", None) == 1 or hasattr(value, "item"):
            value = value.item()
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            plain[RENAMED.get(name, name)] = float(value)
    plain.pop("iter", None)  # the step of the loop, which is told with every line
    return plain


def write_metrics(runner: Any, step: int, total: int, values: Mapping[str, float]) -> None:
    """Append stage, step, total, Unix time and scalars to the file that :data:`METRICS_FILE` names."""
    if METRICS_FILE not in os.environ or not values:
        return
    stage = os.environ.get(STAGE) or Path(runner.work_dir).name
    finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
    line = json.dumps({"stage": stage, "step": step, "total": total, "time": time.time(), **finite})
    path = Path(os.environ[METRICS_FILE])
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")
