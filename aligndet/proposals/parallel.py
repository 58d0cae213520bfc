"""Chunks of images through an engine, whatever dies on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait

from aligndet.proposals.engines import Engine, Results, Search
from aligndet.proposals.result import ImageProposals

#: Seconds without a result after which an engine is asked what became of the searches in hand.
PATIENCE = 10.0
DIED = "the worker process died on it (out of memory, or a crash)"


def run_chunks(
    chunks: Iterable[tuple[int, Sequence[str]]], search: Search, engine: Engine
) -> Iterator[tuple[int, list[ImageProposals]]]:
    """Yield (index, results) of every chunk, in the order they finish.

    Chunks are taken from the iterable only as the engine has room, so that memory does not grow with their
    number. A process that dies (out of memory, a crash in native code) costs only the image that killed it:
    its chunk is searched again image by image.
    """
    waiting = iter(chunks)
    in_hand: dict[Results, tuple[int, Sequence[str]]] = {}
    while True:
        while len(in_hand) < engine.capacity() and (chunk := next(waiting, None)) is not None:
            in_hand[engine.submit(search, chunk[1])] = chunk
        if not in_hand:
            return
        for future in _first_done(in_hand, engine):
            index, names = in_hand.pop(future)
            error = future.exception()
            if error is None:
                yield index, future.result()
            elif engine.died(error):
                yield index, [_search_alone(name, search, engine) for name in names]
            else:
                raise error


def _first_done(futures: Iterable[Results], engine: Engine) -> set[Results]:
    """Wait until one has ended; the engine is asked after those that never say so."""
    while True:
        done, _ = wait(futures, PATIENCE, return_when=FIRST_COMPLETED)
        if done:
            return done
        engine.settle()


def _search_alone(name: str, search: Search, engine: Engine) -> ImageProposals:
    """One image, so that the one that kills its process is known and skipped."""
    future = engine.alone(search, name)
    _first_done([future], engine)
    error = future.exception()
    if error is None:
        return future.result()[0]
    if engine.died(error):
        return ImageProposals(skipped=DIED)
    raise error
