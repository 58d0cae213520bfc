"""Give a training another length: its schedule is stretched or shrunk to it."""

from __future__ import annotations

import math
from typing import Any

from mmengine.config import Config

#: Iterations between two resumable checkpoints, as a part of a training that counts iterations.
CHECKPOINTS = 10


def set_length(config: Config, iters: int | None = None, epochs: int | None = None) -> None:
    """Change a config, in place, to train for so many iterations or epochs; neither keeps its own length.

    Where the learning rate falls, it does so after the same part of the training as before. A warm-up counted
    in iterations stays, but takes a tenth of a training by iterations at most.
    """
    if epochs:
        _by_epochs(config, epochs)
    elif iters:
        _by_iterations(config, iters)


def _by_epochs(config: Config, epochs: int) -> None:
    before = config.train_cfg.get("max_epochs")
    interval = config.train_cfg.get("val_interval")
    config.train_cfg = _loop("EpochBasedTrainLoop", {"max_epochs": epochs}, interval)
    for schedule in config.get("param_scheduler") or []:
        if before and schedule.get("by_epoch", True):
            _scale(schedule, epochs / before)


def _by_iterations(config: Config, iters: int) -> None:
    """The part of a run by epochs that a schedule stood for becomes the same part of the iterations."""
    before = config.train_cfg.get("max_epochs"), config.train_cfg.get("max_iters")
    config.train_cfg = _loop(
        "IterBasedTrainLoop", {"max_iters": iters}, config.train_cfg.get("val_interval") and iters
    )
    for schedule in config.get("param_scheduler") or []:
        epochs = schedule.get("by_epoch", True)
        whole = before[0] if epochs else before[1]
        if whole:
            _scale(schedule, iters / whole)
        elif schedule.get("end", math.inf) > iters / 10:
            schedule["end"] = max(1, iters // 10)
        schedule["by_epoch"] = False
        schedule.pop("convert_to_iter_based", None)
    config.train_dataloader.sampler = {"type": "InfiniteSampler", "shuffle": True}
    hooks = dict(config.get("default_hooks") or {})
    every = {"type": "CheckpointHook", "by_epoch": False, "interval": max(1, iters // CHECKPOINTS)}
    logged = {"type": "LoggerHook", **hooks.get("logger", {})}
    logged["interval"] = min(logged.get("interval", 50), max(1, iters // 10))
    config.default_hooks = {**hooks, "checkpoint": {**hooks.get("checkpoint", {}), **every}, "logger": logged}
    config.log_processor = {**(config.get("log_processor") or {}), "type": "LogProcessor", "by_epoch": False}


def _loop(kind: str, length: dict[str, int], interval: Any) -> dict[str, Any]:
    return {"type": kind, **length, **({"val_interval": interval} if interval else {})}


def _scale(schedule: Any, factor: float) -> None:
    """Multiply what a schedule counts."""
    for key in ("begin", "end", "T_max"):
        if isinstance(schedule.get(key), (int, float)) and math.isfinite(schedule[key]):
            schedule[key] = round(schedule[key] * factor)
    if "T_max" in schedule:
        schedule["T_max"] = max(1, schedule["T_max"])
    if "milestones" in schedule:
        schedule["milestones"] = [max(1, round(step * factor)) for step in schedule["milestones"]]
