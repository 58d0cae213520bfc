"""A store is checked when it is first used, and not again while its files stay as they are.

What was checked is remembered in this process, travels with a pickled store, and for stores of some size
lies as a stamp in the user's cache (``$XDG_CACHE_HOME/aligndet/stores``, else ``~/.cache``): so eight
processes of a machine hash a store once, and nothing is written into the store, which may be read-only. A
stamp holds the size, inode and times of every file, so it fails with any change that the file system
notices; what it does not notice (a dying disk) is found by ``aligndet proposals verify``, which reads all
again. A store that was written in the last second is not remembered: times do not tell changes apart that
follow one another so fast.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from aligndet.common.files import write_text
from aligndet.proposals.layout import META

STAMPED = 1 << 22  # bytes from which a store has a stamp; a smaller one is read in some milliseconds
FRESH = 1.0  # seconds
_checked: set[str] = set()


def checked_once(path: Path, meta: Mapping[str, Any], check: Callable[[], None], known: str = "") -> str:
    """Call ``check`` unless this very store was checked before.

    Args:
        path: the store. meta: its ``store.json``.
        check: raises where something is wrong.
        known: what this function gave for a store that another process checked.

    Returns:
        An identity of the files as they are now.
    """
    identity, size, newest = _identity(path, meta)
    if identity == known or identity in _checked:
        return identity
    if newest > time.time() - FRESH:
        check()
        return identity
    stamp = _stamp_file(path) if size >= STAMPED else None
    if stamp is None:
        check()
    else:
        with _alone(stamp):
            if _read(stamp) != identity:
                check()
                _write(stamp, identity)
    _checked.add(identity)
    return identity


def forget(path: Path) -> None:
    """Have a store checked again at its next use, by every process that opens it."""
    _checked.clear()
    if stamp := _stamp_file(path):
        with suppress(OSError):
            stamp.unlink(missing_ok=True)


def _identity(path: Path, meta: Mapping[str, Any]) -> tuple[str, int, float]:
    """A hash of path, inodes, sizes and times; bytes of all files; when the newest was written."""
    real, size, newest = os.path.realpath(path), 0, 0.0
    rows: list[Any] = [real, os.uname().nodename]
    for name in (META, *sorted(meta["sha256"])):
        try:
            stat = os.stat(path / name)
        except OSError:
            rows.append([name, -1])
            continue
        rows.append([name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns])
        size, newest = size + stat.st_size, max(newest, stat.st_mtime, stat.st_ctime)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:32], size, newest


def _stamp_file(path: Path) -> Path | None:
    """Where the stamp of a store lies; None where there is no home."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    number = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:24]
    return cache / "aligndet" / "stores" / number


@contextmanager
def _alone(stamp: Path) -> Iterator[None]:
    """Keep other processes waiting, so that one checks and the others find its stamp."""
    lock = stamp.with_name(f"{stamp.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        stream = lock.open("a")
    except OSError:
        yield
        return
    with stream:
        with suppress(OSError):  # a file system without locks
            fcntl.lockf(stream, fcntl.LOCK_EX)
        yield


def _read(stamp: Path) -> str:
    try:
        return stamp.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _write(stamp: Path, identity: str) -> None:
    with suppress(OSError):  # a cache is no duty
        write_text(stamp, identity, durable=False)
