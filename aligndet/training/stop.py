"""A run that a signal asks to end finishes its step, saves, and ends with that signal's status."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from aligndet.common.signals import SAME_REQUEST, STATUS, Stopped
from aligndet.training.agree import Agreement

#: File of a work dir whose run saved and ended because slurm warned it: it wants to be started again.
REQUEUE = ".requeue"
#: Ends the thread that listens; no signal has the number 0.
END = b"\0"
GOES_ON = "the same command with --resume goes on from it"


class StopRequest:
    """Remembers the first signal that asks this process to end; a further one ends it at once.

    Attributes:
        number: of the signal; 0 where there was none.
    """

    def __init__(self) -> None:
        self.number = 0
        self._since = 0.0

    def take(self, number: int) -> None:
        """Take a signal; those of the next moment are the same request, sent to a group or passed on."""
        now = time.monotonic()
        if not self.number:
            self.number, self._since = number, now
        elif now - self._since > SAME_REQUEST:
            os._exit(128 + number)


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Take the signals of :data:`STATUS` as requests to stop; in another than the main thread, and on
    Windows, none come.

    A thread takes them, so that the second one ends the process although a library waits for a dead peer.
    """
    request = StopRequest()
    if os.name == "nt" or threading.current_thread() is not threading.main_thread():
        yield request
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    earlier = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _leave_it_to_the_thread) for number in STATUS}
    thread = threading.Thread(target=_listen, args=(reader, request), daemon=True)
    thread.start()
    try:
        yield request
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)
        signal.set_wakeup_fd(earlier)
        os.write(writer, END)  # workers hold the pipe open, too
        thread.join()
        os.close(writer)
        os.close(reader)


def _leave_it_to_the_thread(number: int, frame: Any) -> None:
    """Handle a signal by nothing: without a handler, Python would not write it to the thread's pipe."""


def _listen(reader: int, request: StopRequest) -> None:
    while (number := os.read(reader, 1)) != END:
        if number[0] in STATUS:
            request.take(number[0])


@contextlib.contextmanager
def requeue_noted(folder: Path) -> Iterator[None]:
    """Leave a file in a work dir for as long as its run waits to be started again, which slurm warned of."""
    note = folder / REQUEUE
    try:
        if is_main_process():
            note.unlink(missing_ok=True)
        yield
    except Stopped as stopped:
        if stopped.code == 0 and is_main_process():
            note.touch()
        raise


class Deaf:
    """Initialises a worker of a loader: signals to the group pass it by, for the step needs its images.

    Only its own process ends it, at the end or by SIGTERM; workers end by themselves when that dies.

    Args:
        then: initialises further; None does not.
    """

    def __init__(self, then: Callable[[int], None] | None) -> None:
        self.then = then

    def __call__(self, worker: int) -> None:
        """Initialise a worker; called in it."""
        if threading.current_thread() is threading.main_thread():
            with contextlib.suppress(ValueError):
                signal.set_wakeup_fd(-1)  # a fork's is that of its parent
            for number in STATUS.keys() - {signal.SIGTERM}:
                signal.signal(number, signal.SIG_IGN)
            if hasattr(signal, "sigwaitinfo"):  # not on macOS, which does not tell who sends a signal
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
                threading.Thread(target=_end_for, args=(os.getppid(),), daemon=True).start()
        if self.then:
            self.then(worker)


def _end_for(parent: int) -> None:
    """End this process when its parent asks for that by SIGTERM; nobody else's counts."""
    while True:
        if signal.sigwaitinfo({signal.SIGTERM}).si_pid == parent:
            os._exit(0)


def deafen(loader: Any) -> None:
    """Let the workers of a loader outlive a signal to the whole group."""
    if getattr(loader, "num_workers", 0) and not isinstance(loader.worker_init_fn, Deaf):
        loader.worker_init_fn = Deaf(loader.worker_init_fn)


class StopHook(Hook):
    """Ends a run after the step in which a stop was requested, with a checkpoint of that step.

    The last step of an epoch is followed by what belongs to the end of an epoch, then the run ends; a
    validation comes when it goes on. A run whose steps are all done comes to its end.

    Args:
        request: of this process; processes agree on one.
        save: writes a checkpoint, of so many epochs and steps, and gives its name.
    """

    priority = "LOWEST"

    def __init__(self, request: StopRequest, save: Callable[[int, int], str]) -> None:
        self.request, self.save = request, save
        self._agreement: Agreement | None = None

    def before_train(self, runner: Any) -> None:
        """Meet the other processes."""
        self._agreement = Agreement()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Stop behind a step that is no epoch's last."""
        loop = runner.train_loop
        ends = runner.iter + 1 >= runner.max_iters or getattr(loop, "stop_training", False)
        if not ends and not (_by_epoch(loop) and batch_idx + 1 == len(loop.dataloader)):
            self._stop_if_asked(runner.epoch, runner.iter + 1)

    def after_train_epoch(self, runner: Any, metrics: Any = None) -> None:
        """Stop behind an epoch that is not the last."""
        loop = runner.train_loop
        if _by_epoch(loop) and runner.epoch + 1 < runner.max_epochs and not loop.stop_training:
            self._stop_if_asked(runner.epoch + 1, runner.iter)

    def _stop_if_asked(self, epochs: int, steps: int) -> None:
        """Save, and end.

        Raises:
            Stopped: a stop was requested, of whatever process.
        """
        assert self._agreement is not None
        number = self._agreement.largest(self.request.number)
        if number:
            saved = self.save(epochs, steps)
            name = signal.Signals(number).name
            text = f"{name}: stopped after {steps} iterations and saved {saved}; {GOES_ON}"
            raise Stopped(number, text if is_main_process() else "")


def _by_epoch(loop: Any) -> bool:
    return hasattr(loop, "run_epoch")
