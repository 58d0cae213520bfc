"""What a command tells while it works: plain lines, one progress line a stage, and a log for all the rest."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from aligndet.common.notices import shown_on
from aligndet.common.progress import ProgressFile, Rate, clock


class Console:
    """Prints what a command tells.

    Args:
        quiet: print nothing.
        verbose: never draw a moving line, because log lines pass by on the same screen.
        stream: text stream to print to; None is ``sys.stdout`` at the time of printing.
        interval: seconds between two progress lines where the stream is no terminal.
    """

    def __init__(
        self,
        quiet: bool = False,
        verbose: bool = False,
        stream: TextIO | None = None,
        interval: float = 30.0,
    ) -> None:
        self.quiet, self.verbose, self.interval = quiet, verbose, interval
        self._stream = stream

    @property
    def stream(self) -> TextIO:
        """Where it prints to."""
        return self._stream or sys.stdout

    def say(self, text: str) -> None:
        """Print a line."""
        if not self.quiet:
            print(text, file=self.stream, flush=True)

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[Progress]:
        """Tell the progress of one stage, and at its end how long it took.

        Writes the file of :class:`aligndet.common.progress.ProgressFile` too, where one is asked for.
        """
        progress = Progress(self, title)
        ended = "stopped after"
        try:
            yield progress
            ended = "done in"
        finally:
            progress.close()
            note = f" · {progress.note}" if progress.note else ""
            self.say(f"{title}: {ended} {clock(progress.seconds)}{note}")


class Progress:
    """The progress of one stage: a moving line on a terminal, else a line now and then."""

    def __init__(self, console: Console, title: str) -> None:
        self.console, self.title, self.note = console, title, ""
        self._began = self._told = time.monotonic()
        self._rate, self._file = Rate(), ProgressFile()
        moving = not console.quiet and not console.verbose and console.stream.isatty()
        self._line = _MovingLine(console.stream, title) if moving else None

    @property
    def seconds(self) -> float:
        """Since the stage began."""
        return time.monotonic() - self._began

    def update(self, done: int, total: int, note: str = "", seconds_left: float | None = None) -> None:
        """Tell how far the stage is.

        Args:
            done: units of work; total: 0 where nobody knows.
            note: what else is worth a look (a loss, a count); an empty one keeps the last.
            seconds_left: None estimates it from the speed of the updates.
        """
        self.note = note or self.note
        left = self._rate.seconds_left(done, total)
        left = left if seconds_left is None else seconds_left
        self._file.write(done, total, self.note, left)
        if self._line:
            self._line.update(done, total, _join(self.note, left))
        elif time.monotonic() - self._told >= self.console.interval:
            self._told = time.monotonic()
            count = f"{done}/{total}" if total else str(done)
            self.console.say(f"{self.title}: {_join(count, self.note, left)}")

    def close(self) -> None:
        """Take the moving line away."""
        if self._line:
            self._line.close()
            self._line = None


def _join(*parts: str | float | None) -> str:
    """Texts, and seconds as the time left, with dots between."""
    texts = [f"{clock(part)} left" if isinstance(part, (int, float)) else part for part in parts]
    return " · ".join(text for text in texts if text)


class _MovingLine:
    """A progress bar of rich, which is imported only where there is a terminal to draw it on."""

    def __init__(self, stream: TextIO, title: str) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as RichProgress

        columns: list[Any] = [
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        ]
        self._bar = RichProgress(
            *columns,
            console=RichConsole(file=stream),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task(title, total=None, note="")
        self._bar.start()

    def update(self, done: int, total: int, note: str) -> None:
        self._bar.update(self._task, completed=done, total=total or None, note=note)

    def close(self) -> None:
        self._bar.stop()


@contextlib.contextmanager
def captured(log: Path, warnings: bool = True) -> Iterator[TextIO]:
    """Send all output of this process, and of what it starts, to a log file.

    File descriptors 1 and 2 go to ``log`` (appended): libraries that write past Python are caught too.

    Args:
        log: the file; folders above it are made.
        warnings: show those of :func:`aligndet.common.notices.warn`.

    Yields:
        a text stream to where standard output went before.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    saved = [os.dup(1), os.dup(2)]
    with (
        log.open("ab", buffering=0) as file,
        os.fdopen(os.dup(1), "w", buffering=1, errors="replace") as real,
    ):
        elsewhere = [_Switch(stream, file) for stream in (sys.stdout, sys.stderr)]
        shown = real if _descriptor(sys.stdout) == 1 else sys.stdout
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        try:
            with _replaced(elsewhere), shown_on(shown if warnings else None):
                yield shown
        finally:
            for stream in (sys.stdout, sys.stderr, shown):
                stream.flush()
            for number, old in zip((1, 2), saved, strict=True):
                os.dup2(old, number)
                os.close(old)


@contextlib.contextmanager
def _replaced(switches: list[_Switch]) -> Iterator[None]:
    """Replace Python's streams where they do not write to descriptors 1 and 2 (a notebook, a test)."""
    old = sys.stdout, sys.stderr
    if _descriptor(old[0]) != 1:
        sys.stdout = switches[0]
    if _descriptor(old[1]) != 2:
        sys.stderr = switches[1]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = old
        for switch in switches:
            switch.log = None


def _descriptor(stream: Any) -> int:
    """File descriptor of a stream, -1 where it has none."""
    try:
        return stream.fileno()
    except (AttributeError, OSError, ValueError):
        return -1


class _Switch(io.TextIOBase):
    """Writes to the log while output is captured, and afterwards to the stream that it stood for.

    A logging handler made meanwhile keeps such a stream for good.
    """

    def __init__(self, stream: TextIO, log: Any) -> None:
        self.stream, self.log = stream, log

    def write(self, text: str) -> int:
        if self.log is None:
            return self.stream.write(text)
        self.log.write(text.encode(errors="replace"))
        return len(text)

    def flush(self) -> None:
        if self.log is None:
            self.stream.flush()
