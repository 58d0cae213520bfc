"""A hook that breaks the run it is in, as ``benchmarks/faults.py`` asks for in the environment.

``FAULT`` is ``kill:STEP`` (SIGKILL somewhere in that step), ``term:STEP`` (SIGTERM before it) or
``write:STEP:PLACE`` (SIGKILL in the first writing of a checkpoint from that step on, at one of
:data:`PLACES`). ``FAULT_RANK`` says in which process. Without ``FAULT`` it does nothing.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

PLACES = ("half", "unsynced", "unnamed", "unnoted")


@HOOKS.register_module()
class FaultHook(Hook):
    """Ends the process as the environment says."""

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self.kind, _, rest = os.environ.get("FAULT", "").partition(":")
        self.step, _, self.place = rest.partition(":")

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Break the run when its step has come."""
        if not self.kind or os.environ.get("RANK", "0") != os.environ.get("FAULT_RANK", "0"):
            return
        if self.kind == "write" and runner.iter >= int(self.step):
            _break_writing(self.place)
            self.kind = ""
        elif runner.iter == int(self.step):
            if self.kind == "term":
                os.kill(os.getpid(), signal.SIGTERM)
            elif self.kind == "kill":
                threading.Timer(random.Random(os.environ["FAULT"]).uniform(0, 0.05), _die).start()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _break_writing(place: str) -> None:
    """Die in the next writing of a checkpoint: in its bytes, before fsync, before or behind its renaming."""
    if place == "half":
        torch.save = _half(torch.save)  # type: ignore[assignment]
    elif place == "unsynced":
        os.fsync = _dying(os.fsync)
    elif place == "unnamed":
        os.replace = _dying(os.replace)  # type: ignore[assignment]
    else:
        os.replace = _then_dying(os.replace)  # type: ignore[assignment]


def _half(save: Callable[..., Any]) -> Callable[..., Any]:
    def write(content: Any, file: Any, *args: Any, **options: Any) -> None:
        save(content, file, *args, **options)
        if hasattr(file, "flush"):
            file.flush()
        name = getattr(file, "name", file)
        os.truncate(name, os.path.getsize(name) // 2)
        _die()

    return write


def _dying(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        if _is_checkpoint(args):
            _die()
        return function(*args, **options)

    return call


def _then_dying(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        function(*args, **options)
        if _is_checkpoint(args):
            _die()

    return call


def _is_checkpoint(args: tuple[Any, ...]) -> bool:
    """Whether a call is about a checkpoint: progress files are renamed, too."""
    name = os.readlink(f"/proc/self/fd/{args[0]}") if isinstance(args[0], int) else str(args[-1])
    return ".pth" in name
