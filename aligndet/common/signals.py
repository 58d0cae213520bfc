"""Signals that ask a process to end: which exit status each has, and how to pass them on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

#: Exit status of a run that a signal ended in order; slurm's warning asks to be put into the queue again.
STATUS = {int(signal.SIGTERM): 143, int(signal.SIGINT): 130}
if hasattr(signal, "SIGUSR1"):  # not on Windows
    STATUS[int(signal.SIGUSR1)] = 0
#: Signals that Python does not make an exception of.
SILENT = tuple(number for number in STATUS if number != signal.SIGINT)
#: Seconds in which further signals are taken for the same request: a group's, and one who passes it on.
SAME_REQUEST = 2.0
#: Seconds that a process has to finish its step and save: a step of a large model on a CPU takes minutes.
PATIENCE = 600.0


class Stopped(SystemExit):
    """Ends a process that a signal asked to end, with the status of that signal.

    Attributes:
        number: of the signal.
        text: where the work stands, and how to go on; empty says nothing.
    """

    def __init__(self, number: int, text: str = "") -> None:
        super().__init__(STATUS.get(number, 128 + number))
        self.number, self.text = int(number), text

    def __str__(self) -> str:
        return self.text


def signal_of(error: BaseException | None) -> int:
    """The signal that an exception stands for; SIGTERM where it is none's."""
    if isinstance(error, Stopped):
        return error.number
    return int(signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM)


@contextlib.contextmanager
def signals_unwind(*numbers: int) -> Iterator[None]:
    """Let signals leave through every ``finally``, as :class:`Stopped`: children are ended, files written.

    Args:
        numbers: of the signals; SIGTERM alone where none is given.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    first = 0.0

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal first
        now = time.monotonic()
        if not first or now - first > SAME_REQUEST:
            first = now
            raise Stopped(number)

    before = {number: signal.signal(number, end) for number in numbers or (signal.SIGTERM,)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


@contextlib.contextmanager
def passed_on(*processes: subprocess.Popen[Any], group: bool = False) -> Iterator[None]:
    """Pass on what interrupts this process to children, and give them time to save.

    Args:
        processes: the children.
        group: whether each leads a group of processes, which ends with it.
    """
    try:
        yield
    except BaseException as error:
        end_in_order(processes, signal_of(error), group)
        raise


def end_in_order(processes: Any, number: int, group: bool = False) -> None:
    """Ask processes to end, and wait; end what is left after :data:`PATIENCE`, or at a further signal."""
    end = time.monotonic() + PATIENCE
    try:
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            for process in processes:
                process.wait(max(0.0, end - time.monotonic()))
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if group:
                    os.killpg(process.pid, signal.SIGKILL)
                else:
                    process.kill()
            process.wait()


def end_with_parent(parent: int, seconds: float = 1.0) -> None:
    """End this process and its group when the parent is gone: killed, it could not do so itself."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(seconds)
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
