"""Where chunks of images are searched: in this process, in processes of this machine, or on a Dask cluster.

An engine is a thin cover of an executor that exists (``concurrent.futures`` and ``distributed``); whoever
searches, :func:`aligndet.proposals.parallel.run_chunks` keeps it busy and gets the results back.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

import cv2

from aligndet.common.errors import InputError
from aligndet.proposals.result import ImageProposals

Search = Callable[[Sequence[str]], list[ImageProposals]]  # picklable: a function of a module, or a partial
Results = Future[list[ImageProposals]]
ENGINES = ("local", "dask")


class Engine(Protocol):
    """Runs searches at the same time."""

    def capacity(self) -> int:
        """How many chunks may be in hand now."""

    def submit(self, search: Search, names: Sequence[str]) -> Results:
        """Start a search; only while fewer than `capacity` are in hand."""

    def alone(self, search: Search, name: str) -> Results:
        """Search one image in such a way that its death is told from that of others."""

    def died(self, error: BaseException) -> bool:
        """Whether an error means that the searching process is gone, rather than that the search failed."""

    def settle(self) -> None:
        """End searches in hand that are over without a word; asked when none has ended for a while."""

    def close(self) -> None:
        """Stop; only what is in hand is finished."""


class SchedulerLostError(RuntimeError):
    """The scheduler of a cluster no longer answers."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"the Dask scheduler at {address} is gone; start it again and give the same command: what was "
            "searched is kept"
        )


class HereEngine:
    """Searches in this process, one chunk at a time."""

    def capacity(self) -> int:
        return 1

    def submit(self, search: Search, names: Sequence[str]) -> Results:
        future: Results = Future()
        future.set_result(search(names))
        return future

    def alone(self, search: Search, name: str) -> Results:
        return self.submit(search, [name])

    def died(self, error: BaseException) -> bool:
        return False

    def settle(self) -> None:
        pass

    def close(self) -> None:
        pass


class LocalEngine:
    """Processes of this machine, each a pool of its own: when one dies, the chunks it had are known.

    A process has one chunk in work and one waiting, so that it need not wait for this process, which may be
    slow to answer when all cores are busy.
    """

    DEPTH = 2

    def __init__(self, workers: int) -> None:
        self._lanes = [_lane() for _ in range(workers)]
        self._spare: ProcessPoolExecutor | None = None
        self._busy: list[list[Results]] = [[] for _ in range(workers)]

    def capacity(self) -> int:
        return self.DEPTH * len(self._lanes)

    def submit(self, search: Search, names: Sequence[str]) -> Results:
        for number in range(len(self._lanes)):
            self._tidy(number)
        number = min(range(len(self._lanes)), key=lambda lane: len(self._busy[lane]))
        future = self._lanes[number].submit(search, names)
        self._busy[number].append(future)
        return future

    def alone(self, search: Search, name: str) -> Results:
        self._spare = self._spare or _lane()
        future = self._spare.submit(search, [name])
        if self.died(future.exception() or ValueError()):
            self._spare = None
        return future

    def died(self, error: BaseException) -> bool:
        return isinstance(error, BrokenProcessPool)

    def settle(self) -> None:
        pass

    def close(self) -> None:
        lanes = [*self._lanes, *([self._spare] if self._spare else [])]
        for lane in lanes:
            lane.shutdown(wait=False, cancel_futures=True)
        for lane in lanes:
            lane.shutdown(wait=True)

    def _tidy(self, number: int) -> None:
        """Forget what a lane has finished, and replace the lane when its process has died."""
        waiting = self._busy[number]
        self._busy[number] = [future for future in waiting if not future.done()]
        if any(future.done() and self.died(future.exception() or ValueError()) for future in waiting):
            self._lanes[number].shutdown(wait=False)
            self._lanes[number] = _lane()


class DaskEngine:
    """A Dask cluster, reached at the address of its scheduler.

    joblib's Dask backend is not used: it never hears of a task whose worker died, and waits for it for ever.
    Now and then ``distributed``'s client does not hear of it either, though the scheduler knows:
    :meth:`settle` asks the scheduler.

    Raises:
        InputError: ``distributed`` is not installed, or there is no scheduler with a worker.
    """

    def __init__(self, scheduler: str, patience: float = 60.0) -> None:
        try:
            import distributed
        except ImportError as error:
            raise InputError(f"--engine dask needs: pip install 'dask[distributed]' ({error})") from error
        if not scheduler:
            raise InputError(
                "--engine dask needs --scheduler tcp://HOST:PORT (started by the command: dask scheduler)"
            )
        try:
            self._client = distributed.Client(scheduler, timeout=min(patience, 30.0), set_as_default=False)
            self._client.wait_for_workers(1, timeout=patience)
        except (OSError, TimeoutError) as error:
            raise InputError(f"no Dask cluster with workers at {scheduler}: {error}") from error
        self._address = scheduler
        self._killed: Any = distributed.KilledWorker
        self._tasks: dict[Results, Any] = {}  # also keeps the scheduler from forgetting them

    def capacity(self) -> int:
        return 2 * max(1, sum(self._client.nthreads().values()))  # one in hand, one on its way

    def submit(self, search: Search, names: Sequence[str]) -> Results:
        result: Results = Future()
        task = self._client.submit(search, list(names), pure=False)
        self._tasks[result] = task
        task.add_done_callback(lambda task: self._ended(result, task))
        return result

    def alone(self, search: Search, name: str) -> Results:
        return self.submit(search, [name])  # the scheduler suspects a task only after several deaths

    def died(self, error: BaseException) -> bool:
        return isinstance(error, self._killed)

    def settle(self) -> None:
        """Give up the searches that the scheduler gave up.

        Raises:
            SchedulerLostError: it does not answer.
        """
        keys = {task.key: result for result, task in list(self._tasks.items())}
        scheduler: Any = self._client.scheduler
        try:
            states = self._client.sync(scheduler.get_task_status, keys=list(keys))
        except OSError as error:
            raise SchedulerLostError(self._address) from error
        for key, state in states.items():
            if state in ("erred", None) and self._tasks.pop(keys[key], None):
                keys[key].set_exception(self._killed(key, None, 0))

    def _ended(self, result: Results, task: Any) -> None:
        """Hand over the end of a search that is still waited for."""
        if self._tasks.pop(result, None) is None:
            return
        if task.cancelled():  # by the client, when it has lost the scheduler
            result.set_exception(SchedulerLostError(self._address))
        elif error := task.exception():
            result.set_exception(error)
        else:
            result.set_result(task.result())

    def close(self) -> None:
        self._tasks.clear()
        self._client.close()


def make_engine(kind: str, workers: int, scheduler: str = "") -> Engine:
    """The engine of that name.

    Args:
        kind: one of :data:`ENGINES`.
        workers: processes of the local engine; 0 searches in this process.
        scheduler: address of the Dask scheduler.

    Raises:
        InputError: unknown name. Others as :class:`DaskEngine`.
    """
    if kind not in ENGINES:
        raise InputError(f"engine {kind!r}: expected one of {', '.join(ENGINES)}")
    if kind == "dask":
        return DaskEngine(scheduler)
    return LocalEngine(workers) if workers > 0 else HereEngine()


def _lane() -> ProcessPoolExecutor:
    # "spawn", because forking a process that has threads (OpenMP, OpenCV, torch) may hang
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=context, initializer=_start_worker)


def _start_worker() -> None:
    """One thread per worker, Ctrl-C left to the parent, and no life after the parent's death."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
