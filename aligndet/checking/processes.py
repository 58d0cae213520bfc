"""Run a function on many arguments, each in a fresh process with a time limit."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")


@dataclass(frozen=True)
class Died:
    """What stands for a result where there is none: ``reason`` says what ended the process."""

    reason: str


@dataclass
class _Running(Generic[A]):
    argument: A
    process: Any
    deadline: float


def each_in_a_process(
    function: Callable[[A], R],
    arguments: Iterable[A],
    jobs: int = 1,
    limit: float = 600.0,
    preload: Sequence[str] = (),
) -> Iterator[tuple[A, R | Died]]:
    """Yield (argument, result) as they finish.

    Processes are forked from a server that has imported the main module, ``preload`` and nothing else: each
    starts clean and at once, and source that is edited meanwhile changes nothing. One that crashes, raises or
    takes too long costs its own argument only.

    Args:
        function: of a module; its arguments and results travel as pickles.
        arguments: taken only as processes are free.
        jobs: processes at a time.
        limit: seconds that each may take.
        preload: modules that ``function`` needs.
    """
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", *preload])
    waiting = iter(arguments)
    running: dict[Connection, _Running[A]] = {}
    try:
        while True:
            for argument in _first(waiting, jobs - len(running)):
                here, there = context.Pipe(duplex=False)
                process = context.Process(target=_answer, args=(function, argument, there), daemon=True)
                process.start()
                there.close()  # so that the end of the process is seen here
                running[here] = _Running(argument, process, time.monotonic() + limit)
            if not running:
                return
            soonest = min(one.deadline for one in running.values())
            ready = wait(list(running), timeout=max(0.0, soonest - time.monotonic()))
            late = [pipe for pipe, one in running.items() if time.monotonic() >= one.deadline]
            for pipe in [pipe for pipe in running if pipe in ready or pipe in late]:
                one = running.pop(pipe)
                yield one.argument, _result(pipe, one, limit)
    finally:
        for one in running.values():
            one.process.kill()


def _answer(function: Callable[[A], R], argument: A, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pipe.send(function(argument))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _result(pipe: Connection, one: _Running[A], limit: float) -> Any:
    try:
        if pipe.poll():
            return pipe.recv()
        one.process.kill()
        return Died(f"took more than {limit:.0f} s")
    except EOFError:
        one.process.join()
        code = one.process.exitcode
        return Died("killed (out of memory?)" if code == -9 else f"the process ended with exit code {code}")
    finally:
        pipe.close()
        one.process.join()


def _first(items: Iterator[A], count: int) -> Iterator[A]:
    for _ in range(count):
        for item in items:
            yield item
            break
