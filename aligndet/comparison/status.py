"""Progress of many runs: how many are done, what runs, how long it will take."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aligndet.common.console import Console, Progress
from aligndet.common.notices import warn
from aligndet.comparison.metrics import main_metric

if TYPE_CHECKING:
    from aligndet.comparison.execute import Outcome
    from aligndet.comparison.plan import Run


class Status:
    """Tells a line per finished run, and between them the progress of a console's stage.

    Time left is the iterations still to do at the rate seen, plus the scoring time seen per run.

    Args:
        console: where it is told.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self._spent: list[tuple[int, float, float]] = []  # iterations, training and other seconds
        self._started: dict[Run, float] = {}
        self._progress: Progress | None = None
        self._total = self._done = self._workers = 0
        self._iters = self._iters_done = 0
        self._warned: set[str] = set()

    @contextmanager
    def telling(self, reused: int, waiting: Sequence[Run], workers: int) -> Iterator[None]:
        """Tell of a batch of runs while it lasts."""
        self._total, self._done, self._workers = reused + len(waiting), reused, workers
        self._iters, self._iters_done = sum(run.iters for run in waiting), 0
        if reused:
            self.console.say(f"{reused} of {self._total} runs are already finished and are reused")
        if not waiting:
            yield
            return
        with self.console.stage(f"{len(waiting)} runs") as self._progress:
            yield
        self._progress = None

    def ended(self, outcome: Outcome) -> None:
        """Tell how a run ended."""
        run = outcome.run
        self._done += 1
        self._iters_done += run.iters
        self._learn_from(run)
        count = f"[{self._done}/{self._total}]"
        for text in outcome.warnings:
            if text not in self._warned:
                self._warned.add(text)
                warn(text)
        if outcome.error:
            self.console.say(f"{count} FAILED {run.title}: {outcome.error}")
            return
        main = main_metric()
        points = {name: 100 * scores[main] for name, scores in outcome.metrics.items()}
        scores = ", ".join(f"{main} {value:.2f} ({name})" for name, value in points.items())
        self.console.say(f"{count} {run.title}: {scores}{', diverged' if outcome.diverged else ''}")

    def tick(self, waiting: Sequence[Run], running: Sequence[Run]) -> None:
        """Take note of the running runs; called often."""
        now = time.monotonic()
        for run in running:
            self._started.setdefault(run, now)
        done = self._iters_done + sum(progress_of(run)[0] for run in running)
        if self._progress:
            note = "; ".join(run.title for run in running)
            self._progress.update(done, self._iters, note, self.seconds_left(waiting, running))

    def seconds_left(self, waiting: Sequence[Run], running: Sequence[Run]) -> float | None:
        """Estimate for the runs given; None before any iteration was timed."""
        rates = [progress_of(run)[1] for run in running]
        iters = sum(spent[0] for spent in self._spent)
        if iters:
            rate = sum(spent[1] for spent in self._spent) / iters
        elif any(rates):
            rate = max(rates)
        else:
            return None
        other = sum(spent[2] for spent in self._spent) / max(1, len(self._spent))
        to_do = sum(run.iters for run in waiting) + sum(run.iters - progress_of(run)[0] for run in running)
        return (to_do * rate + (len(waiting) + len(running)) * other) / max(1, self._workers)

    def _learn_from(self, run: Run) -> None:
        """Learn from an ended run; a resumed one counts the iterations it did in this process."""
        begin = self._started.pop(run, None)
        done, rate = progress_of(run)
        if begin is not None and rate > 0:
            wall = time.monotonic() - begin
            self._spent.append((done, done * rate, max(0.0, wall - done * rate)))


def progress_of(run: Run) -> tuple[int, float]:
    """Read iterations done and seconds per iteration, as the run's process last said."""
    try:
        progress = json.loads((run.folder / "progress.json").read_text())
        return int(progress["iter"]), float(progress["seconds_per_iter"])
    except (OSError, ValueError, KeyError):
        return 0, 0.0
