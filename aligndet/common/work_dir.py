"""The lock of a folder that one run works in at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from aligndet.common.errors import InputError

LOCK = ".lock"
#: Seconds that a lock is waited for: one who was just killed still holds it until all of it is gone.
PATIENCE = 5.0
POLL = 0.2

_held: set[Path] = set()


def is_held(folder: Path) -> bool:
    """Whether this process holds the lock of a folder."""
    return folder.resolve() in _held


@contextlib.contextmanager
def locked(
    folder: Path, option: str = "--work-dir", file: str = LOCK, patience: float = PATIENCE
) -> Iterator[None]:
    """Keep every other run out of a folder, which is made where it is missing.

    The system drops the lock with the process that holds it, so that of a dead one is free at once; processes
    that this one forks do not hold it. Where the file system has no locks, the process that the file names
    decides, if it is one of this machine.

    Args:
        folder: of the run.
        option: that names the folder, for errors.
        file: of the lock, in the folder.
        patience: seconds to wait for one who is about to end.

    Raises:
        InputError: another run works there, or the folder cannot be written.
    """
    known = folder.resolve()
    path = folder / file
    if known in _held:
        raise InputError(_busy(folder, path, option))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise InputError(
            f"{option} {folder}: cannot be written ({error.strerror or error}); give another {option}"
        ) from error
    try:
        end = time.monotonic() + patience
        while not _taken(descriptor, path):
            if time.monotonic() > end:
                raise InputError(_busy(folder, path, option))
            time.sleep(POLL)
        with contextlib.suppress(OSError):  # a full disk keeps nobody from working
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{socket.gethostname()} {os.getpid()}\n".encode(), 0)
        _held.add(known)
        try:
            yield
        finally:
            _held.discard(known)
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _taken(descriptor: int, path: Path) -> bool:
    """Try to take the lock."""
    try:
        import fcntl

        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows
        return not _alive(*_holder(path))
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        return not _alive(*_holder(path))
    return True


def _holder(path: Path) -> tuple[str, int]:
    """Host and process that a lock file names; empty and 0 where it names none."""
    with contextlib.suppress(OSError, ValueError):
        host, pid = path.read_text(encoding="utf-8").split()
        return host, int(pid)
    return "", 0


def _alive(host: str, pid: int) -> bool:
    """Whether a process of this machine lives; one of another machine is taken for dead."""
    if host != socket.gethostname() or pid in (0, os.getpid()):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _busy(folder: Path, path: Path, option: str) -> str:
    host, pid = (socket.gethostname(), os.getpid()) if folder.resolve() in _held else _holder(path)
    who = f" (host {host}, process {pid})" if pid else ""
    return (
        f"{option} {folder}: another run works in this folder now{who}; "
        f"wait for it, end it, or give another {option}"
    )
