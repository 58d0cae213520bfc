"""How this process was started: which one of a launch it is, whether again, and alone in its folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from aligndet.common.signals import Stopped
from aligndet.common.work_dir import is_held, locked

#: Numbers that launchers give a process, and how often they started the job again.
RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")
AGAIN = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")


def launched_rank() -> int:
    """The number of this process among those of a launch."""
    return int(next((os.environ[name] for name in RANKS if name in os.environ), "0"))


def was_started_again() -> bool:
    """Whether torchrun or slurm started this job before: it then goes on from where it was."""
    return any(os.environ.get(name, "0") not in ("", "0") for name in AGAIN)


def join(backend: str) -> None:
    """Join the processes of a launch by torchrun, under a name of this start's own.

    Torch 2.12 gives processes that torchrun starts again the store of those that died, with their addresses.
    """
    from torch import distributed

    store, rank, size = next(distributed.rendezvous("env://"))
    own = distributed.PrefixStore(f"start_{os.environ.get(AGAIN[0], '0')}", store)
    distributed.init_process_group(backend, store=own, rank=rank, world_size=size)


@contextlib.contextmanager
def parting_in_order() -> Iterator[None]:
    """Let the processes of a launch part when all are at the end, or saved: none loses its peers before."""
    try:
        yield
    except Stopped:
        _part()
        raise
    _part()


def _part() -> None:
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def alone_in(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Keep other runs out of a work dir; the first process of a launch does so for all of it.

    Raises:
        InputError: another run works there, or the folder cannot be written.
    """
    if launched_rank() or is_held(folder):
        return contextlib.nullcontext()
    return locked(folder)
