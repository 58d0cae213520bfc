"""Whether what a proposal store says can be, though its hashes fit: who wrote it may have been wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.image_table import name_hash
from aligndet.proposals.store_meta import AGAIN

Array = np.ndarray
PIECE = 1 << 16  # rows looked at in one go


def senseless(columns: Mapping[str, Array], clusters: int) -> Iterator[str]:
    """Say, in a text each, what cannot be in a sound store though its hashes fit.

    Args:
        columns: by name, as mapped; the lengths are right.
        clusters: pseudo-classes that it says it has; 0 where it does not say.
    """
    boxes, offsets = columns["boxes"], columns["offsets"]
    for name, total in (("offsets", len(boxes)), ("name_offsets", len(columns["names"]))):
        ends = columns[name]
        if len(ends) == 0 or ends[0] != 0 or ends[-1] != total or (ends[1:] < ends[:-1]).any():
            yield f"{name}.npy: its rows do not rise from 0 to {total}"
            return
    if len(columns["sizes"]) and columns["sizes"].min() < -1:
        yield "sizes.npy: a width or height is negative"
    if (row := _first_bad(boxes, no_boxes)) >= 0:
        image = int(np.searchsorted(offsets, row, side="right")) - 1
        yield f"boxes.npy: box {row}, of image {image}, is not finite or its corners are out of order"
    if "clusters" in columns:
        last = clusters or np.iinfo(np.int32).max
        if (row := _first_bad(columns["clusters"], lambda part: (part < -1) | (part >= last))) >= 0:
            yield f"clusters.npy: box {row} has cluster {columns['clusters'][row]} of {clusters}"
    hashes, rows = columns["name_hashes"], columns["name_rows"]
    if (hashes[1:] < hashes[:-1]).any():
        yield "name_hashes.npy: not sorted"
    if not np.array_equal(np.sort(rows), np.arange(len(rows))):
        yield "name_rows.npy: does not name each image once"


def refuse_senseless(path: Path, columns: Mapping[str, Array], clusters: int) -> None:
    """Refuse a store that says what no store can say.

    Raises:
        InputError: names the first such file.
    """
    for fault in senseless(columns, clusters):
        raise InputError(f"{path}/{fault}; {AGAIN}")


def wrong_names(columns: Mapping[str, Array]) -> int:
    """How many names are not found by their hash."""
    data, ends = columns["names"].tobytes(), columns["name_offsets"].tolist()
    hashes = np.array([name_hash(data[first:last]) for first, last in pairwise(ends)], np.uint64)
    return int((hashes[columns["name_rows"]] != columns["name_hashes"]).sum())


def no_boxes(boxes: Array) -> Array:
    """(n,) which rows are no box."""
    with np.errstate(invalid="ignore", over="ignore"):
        ordered = (boxes[:, 2] >= boxes[:, 0]) & (boxes[:, 3] >= boxes[:, 1])
        if ordered.all() and np.isfinite(boxes.sum()):  # as of nearly all
            return ~ordered
        return ~(ordered & np.isfinite(boxes.sum(axis=1)))


def _first_bad(rows: Array, bad: Callable[[Array], Array]) -> int:
    """The first row of a long column of which ``bad`` holds; -1 for none."""
    first = 0
    for piece in _pieces(rows):
        places = np.flatnonzero(bad(piece))
        if len(places):
            return first + int(places[0])
        first += len(piece)
    return -1


def _pieces(rows: Array) -> Iterator[Array]:
    """A long column piece by piece; a mapped one is read, so that its pages are not this process's."""
    if not isinstance(rows, np.memmap):
        yield from (rows[first : first + PIECE] for first in range(0, len(rows), PIECE))
        return
    width, left = rows.strides[0], len(rows)
    with open(str(rows.filename), "rb") as stream:
        stream.seek(rows.offset)
        while left:
            piece = np.frombuffer(stream.read(min(PIECE, left) * width), rows.dtype).reshape(
                -1, *rows.shape[1:]
            )
            if not len(piece):
                return  # cut meanwhile
            yield piece
            left -= len(piece)
