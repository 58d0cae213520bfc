"""Live status lines of many runs: how many are done, what runs, how long it will take."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aligndet.comparison.execute import Outcome
    from aligndet.comparison.plan import Run


def clock_text(seconds: float) -> str:
    """``75`` is ``1:15``, ``4000`` is ``1:06:40``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Status:
    """Prints a line per finished run, and a progress line every ``interval`` seconds.

    Time left is the iterations still to do at the rate seen, plus the scoring time seen per run.
    """

    def __init__(self, write: Callable[[str], None] | None = None, interval: float = 30.0) -> None:
        self.write = write or (lambda text: print(text, file=sys.stderr, flush=True))
        self.interval = interval
        self._spent: list[tuple[int, float, float]] = []  # iterations, training and other seconds
        self._total = self._done = 0
        self._started: dict[Run, float] = {}
        self._last = time.monotonic()

    def begin(self, reused: int, waiting: Sequence[Run]) -> None:
        """A batch of runs begins."""
        self._total, self._done = reused + len(waiting), reused
        if reused:
            self.write(f"{reused} of {self._total} runs are already finished and are reused")

    def ended(self, outcome: Outcome, waiting: Sequence[Run], running: Sequence[Run], jobs: int) -> None:
        """A run ended; say how."""
        run = outcome.run
        self._done += 1
        self._account(run)
        left = self.seconds_left(waiting, running, jobs)
        if outcome.error:
            self.write(f"[{self._done}/{self._total}] FAILED {run.title}: {outcome.error}")
            return
        points = {name: 100 * metric["AP"] for name, metric in outcome.metrics.items()}
        scores = ", ".join(f"AP {value:.2f} ({name})" for name, value in points.items())
        note = ", diverged" if outcome.diverged else ""
        after = f", about {clock_text(left)} left" if left is not None and (waiting or running) else ""
        self.write(f"[{self._done}/{self._total}] {run.title}: {scores}{note}{after}")

    def tick(self, waiting: Sequence[Run], running: Sequence[Run], jobs: int) -> None:
        """Called often; prints at most one line per interval."""
        now = time.monotonic()
        for run in running:
            self._started.setdefault(run, now)
        if now - self._last < self.interval or not running:
            return
        self._last = now
        parts = [f"{run.title} {self._progress(run)[0]}/{run.iters}" for run in running]
        left = self.seconds_left(waiting, running, jobs)
        known = f", about {clock_text(left)} left" if left is not None else ""
        self.write(f"[{self._done}/{self._total}] running: {'; '.join(parts)}{known}")

    def seconds_left(self, waiting: Sequence[Run], running: Sequence[Run], jobs: int) -> float | None:
        """Estimate for the runs given, ``jobs`` at a time; None before any iteration was timed."""
        rates = [self._progress(run)[1] for run in running]
        iters = sum(spent[0] for spent in self._spent)
        if iters:
            rate = sum(spent[1] for spent in self._spent) / iters
        elif any(rates):
            rate = max(rates)
        else:
            return None
        other = sum(spent[2] for spent in self._spent) / max(1, len(self._spent))
        to_do = sum(run.iters for run in waiting) + sum(run.iters - self._progress(run)[0] for run in running)
        return (to_do * rate + (len(waiting) + len(running)) * other) / max(1, jobs)

    def _account(self, run: Run) -> None:
        """Learn from an ended run; a resumed one counts the iterations it did in this process."""
        begin = self._started.pop(run, None)
        done, rate = self._progress(run)
        if begin is not None and rate > 0:
            wall = time.monotonic() - begin
            self._spent.append((done, done * rate, max(0.0, wall - done * rate)))

    @staticmethod
    def _progress(run: Run) -> tuple[int, float]:
        """Iterations done and seconds per iteration, as the run's process last said."""
        try:
            progress = json.loads((run.folder / "progress.json").read_text())
            return int(progress["iter"]), float(progress["seconds_per_iter"])
        except (OSError, ValueError, KeyError):
            return 0, 0.0
