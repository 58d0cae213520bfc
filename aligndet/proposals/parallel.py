"""Chunks of images through an engine, whatever dies on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait

from aligndet.proposals.engines import Engine, Results, Search
from aligndet.proposals.result import ImageProposals

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
        done, _ = wait(in_hand, return_when=FIRST_COMPLETED)
        for future in done:
            index, names = in_hand.pop(future)
            error = future.exception()
            if error is None:
                yield index, future.result()
            elif engine.died(error):
                yield index, [_search_alone(name, search, engine) for name in names]
            else:
                raise error


def _search_alone(name: str, search: Search, engine: Engine) -> ImageProposals:
    """One image, so that the one that kills its process is known and skipped."""
    future = engine.alone(search, name)
    error = future.exception()
    if error is None:
        return future.result()[0]
    if engine.died(error):
        return ImageProposals(skipped=DIED)
    raise error
