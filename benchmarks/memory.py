"""Peak memory of a piece of work, in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def peak(prepare: Callable[..., Callable[[], Any]], *args: Any) -> float:
    """Peak memory that a piece of work adds, in MB: the GPU's where there is one, else of the process.

    Args:
        prepare: called with ``args`` in a fresh process; returns the work. What it holds before the work
            starts is not counted.
    """
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_measure, args=(queue, prepare, *args))
    process.start()
    result = queue.get(timeout=600)
    process.join()
    return result


def _measure(queue: multiprocessing.Queue, prepare: Callable[..., Callable[[], Any]], *args: Any) -> None:
    try:
        work = prepare(*args)
        before = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
        work()
        if torch.cuda.is_available():
            queue.put(torch.cuda.max_memory_allocated() / 2**20)
        else:
            queue.put(_resident("VmHWM") - before)
    except BaseException:
        queue.put(float("nan"))
        raise


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))
