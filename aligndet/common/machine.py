"""What this machine gives a process: cores, and an environment in which training is not slowed down."""

from __future__ import annotations

import os
from pathlib import Path

#: glibc gives every freed tensor back to Linux and faults its pages in anew at the next step; kept in the
#: process instead, a CPU training step of a small detector is clearly shorter. Other C libraries ignore it.
MALLOC = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "99999999999",
    "MALLOC_TOP_PAD_": "268435456",
}

#: OpenMP threads that wait by spinning take the core from the loader and from whatever else runs: on two busy
#: cores a step took three times as long as with threads that sleep.
WAIT = {"OMP_WAIT_POLICY": "PASSIVE"}


def usable_cores() -> int:
    """Count the CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def process_environment(threads: int) -> dict[str, str]:
    """Make a training process's environment: threads, :data:`MALLOC`, :data:`WAIT`; the user's own wins.

    The process finds this package where it lies, after whatever the user's ``PYTHONPATH`` names.

    Args:
        threads: of OpenMP and MKL in that process.
    """
    number = str(max(1, threads))
    ours = {**MALLOC, **WAIT, "OMP_NUM_THREADS": number, "MKL_NUM_THREADS": number, "PYTHONUNBUFFERED": "1"}
    places = [os.environ.get("PYTHONPATH", ""), str(Path(__file__).resolve().parents[2])]
    return {**ours, **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
