"""How far a piece of work is, how long it still takes, and a file that tells another process so."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from aligndet.common.files import write_json

#: Names the file that a process writes its progress to, see :class:`ProgressFile`.
PROGRESS_FILE = "ALIGNDET_PROGRESS_FILE"
#: Names the file that every logged step of a training is appended to, as one JSON object a line.
METRICS_FILE = "ALIGNDET_METRICS_FILE"
#: Names the stage in those lines; without it, it is the work dir's name.
STAGE = "ALIGNDET_STAGE"


class Rate:
    """Estimates the seconds that are left from the speed of the last updates.

    Work that a resumed run found done does not count as fast work: only differences between updates do.

    Args:
        updates: number of the latest updates that the speed is taken over.
        now: clock, in seconds.
    """

    def __init__(self, updates: int = 200, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seen: deque[tuple[float, int]] = deque(maxlen=updates)

    def seconds_left(self, done: int, total: int) -> float | None:
        """Note that ``done`` of ``total`` are done; None until two updates differ, or without a total."""
        if not self._seen or done != self._seen[-1][1]:
            self._seen.append((self._now(), done))
        (begin, first), (end, last) = self._seen[0], self._seen[-1]
        if total <= 0 or last <= first or end <= begin:
            return None
        return max(0, total - done) * (end - begin) / (last - first)


class ProgressFile:
    """Writes ``{"done", "total", "note", "seconds_left"}`` as JSON, atomically, at most once a second.

    Args:
        path: of the file; None takes the environment variable :data:`PROGRESS_FILE`, and does nothing where
            that is not set.
        interval: seconds between two writes; the first update and the last (done = total) are always written.
    """

    def __init__(self, path: Path | None = None, interval: float = 1.0) -> None:
        named = os.environ.get(PROGRESS_FILE)
        self.path = path or (Path(named) if named else None)
        self.interval = interval
        self._written = float("-inf")

    def write(self, done: int, total: int, note: str, seconds_left: float | None) -> None:
        """Write unless the last write is too young."""
        now = time.monotonic()
        if self.path is None or (now - self._written < self.interval and done != total):
            return
        self._written = now
        progress = {"done": done, "total": total, "note": note, "seconds_left": seconds_left}
        write_json(self.path, progress, durable=False)


def clock(seconds: float) -> str:
    """A duration as people write it: 75 is ``1:15``, 3675 is ``1:01:15``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
