"""Chunks of images over worker processes that may be interrupted, killed, or killed by an image."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import cv2

from .coco import ImageProposals

Search = Callable[[Sequence[str]], list[ImageProposals]]  # picklable: a function of a module, or a partial


def run_chunks(
    chunks: Mapping[int, Sequence[str]], search: Search, workers: int
) -> Iterator[tuple[int, list[ImageProposals]]]:
    """Yield (index, results) of every chunk, in the order they finish.

    With one worker, or one chunk, everything happens in this process. With more, a process that dies (out of
    memory, a crash in native code) costs only the image that killed it: the chunks that were in hand are
    searched again image by image, each in a process of its own, and the rest go on in a new pool.
    """
    if workers <= 1 or len(chunks) <= 1:
        for index, names in chunks.items():
            yield index, search(names)
        return
    waiting = dict(chunks)
    while waiting:
        for index, rows in _until_broken(waiting, search, workers):
            del waiting[index]
            yield index, rows
        in_hand = list(waiting)[: 2 * workers + 1]  # a pool starts chunks in order and queues workers + 1
        for index in in_hand:
            yield index, [_search_apart(name, search) for name in waiting.pop(index)]


def _until_broken(
    chunks: Mapping[int, Sequence[str]], search: Search, workers: int
) -> Iterator[tuple[int, list[ImageProposals]]]:
    """Results of a pool; it ends early, without an error, when one of its processes dies."""
    with _pool(min(workers, len(chunks))) as pool:
        try:
            futures: dict[Future[list[ImageProposals]], int] = {
                pool.submit(search, names): index for index, names in chunks.items()
            }
        except BrokenProcessPool:
            return
        for future in as_completed(futures):
            if not isinstance(future.exception(), BrokenProcessPool):
                yield futures[future], future.result()


def _search_apart(name: str, search: Search) -> ImageProposals:
    """One image in a process of its own, so that the one that kills its process is known and skipped."""
    try:
        with _pool(1) as pool:
            return pool.submit(search, [name]).result()[0]
    except BrokenProcessPool:
        return ImageProposals(skipped="the worker process died on it (out of memory, or a crash)")


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    # "spawn", because forking a process that has threads (OpenMP, OpenCV, torch) may hang
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)  # after Ctrl-C: only what is in hand is finished


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
