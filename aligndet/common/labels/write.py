"""Labels written as COCO json that every reader of COCO takes alike; what else entries hold is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np

from aligndet.common.files import replacing
from aligndet.common.json_stream import stream_object
from aligndet.common.labels.coco import LISTS
from aligndet.common.labels.file import LabelFile
from aligndet.common.labels.kinds import Kind

Array = np.ndarray


def write_labels(labels: LabelFile, outs: Mapping[Path, Array | None]) -> None:
    """Write labels, or parts of them, in one pass over the source: memory stays flat.

    Args:
        labels: to write; ids are theirs, so that a part keeps the ids of the whole.
        outs: files, each with a mask (N,) of the images that it gets; None gets all.
    """
    with ExitStack() as stack:
        writers = []
        for path, mask in outs.items():
            stream = stack.enter_context(replacing(path))
            chosen = np.ones(len(labels.names), bool) if mask is None else mask
            writers.append((_Writer(stream), chosen))
        for key, image, value in _entries(labels):
            text = json.dumps(value)
            for writer, chosen in writers:
                if image < 0 or chosen[image]:
                    writer.put(key, text, key in LISTS)
        for writer, _ in writers:
            writer.end()


def sound_labels(labels: LabelFile, out: Path) -> Path:
    """A file that mmdet and pycocotools read as this project does: the labels' own, or ``out``, written."""
    if labels.sound:
        return labels.path
    write_labels(labels, {out: None})
    return out


class _Writer:
    """Writes a json object whose lists come entry by entry."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._open = ""
        self._written: set[str] = set()
        stream.write(b"{")

    def put(self, key: str, text: str, in_list: bool) -> None:
        """Add an entry of a list, or a value."""
        if self._open == key:
            self._stream.write(f", {text}".encode())
            return
        self._close()
        lead = ", " if self._written else ""
        self._written.add(key)
        self._stream.write(f"{lead}{json.dumps(key)}: {'[' if in_list else ''}{text}".encode())
        self._open = key if in_list else ""

    def end(self) -> None:
        """Close what is open, and write the lists that had no entry."""
        self._close()
        for key in LISTS:
            if key not in self._written:
                self.put(key, "", True)
                self._close()
        self._stream.write(b"}")

    def _close(self) -> None:
        if self._open:
            self._stream.write(b"]")
        self._open = ""


def _entries(labels: LabelFile) -> Iterator[tuple[str, int, Any]]:
    """Name of a list or value, the image that an entry belongs to (-1 for all), and the entry."""
    if labels.kind != Kind.COCO.value:
        yield from (("images", row, image) for row, image in enumerate(labels.images()))
        yield from (("annotations", int(row), labels.annotation(box)) for box, row in enumerate(labels.rows))
        yield from (("categories", -1, category) for category in labels.categories())
        return
    for key, value in labels.head.items():
        yield key, -1, value
    lists: dict[str, list[Any]] = {"images": [], "categories": []}
    places = dict.fromkeys(LISTS, -1)
    rows = _inverse(labels.image_places)
    boxes = _inverse(labels.box_places)
    images = labels.images()
    known = {category["name"]: category for category in labels.categories()}
    for key, entry in stream_object(labels.path):
        if key not in LISTS:
            continue
        places[key] += 1
        if key == "annotations":
            box = _at(boxes, places[key])
            if box >= 0:
                yield key, int(labels.rows[box]), _kept(entry, labels.annotation(box), labels, box)
        elif key == "images":
            row = _at(rows, places[key])
            if row >= 0:
                lists[key].append((row, {**_without_size(entry), **images[row]}))
        elif key == "categories" and isinstance(entry, dict):
            ours = known.pop(str(entry.get("name")), None)
            if ours:
                lists[key].append((-1, {**entry, **ours}))
    for key, entries in lists.items():
        yield from ((key, row, entry) for row, entry in entries)
    yield from (("categories", -1, category) for category in known.values())


def _kept(entry: Any, ours: dict[str, Any], labels: LabelFile, box: int) -> dict[str, Any]:
    """An annotation with what was mended in it; numbers that are as they were keep their form."""
    new = {**entry, **ours}
    old = entry.get("bbox")
    if isinstance(old, list) and old == ours["bbox"]:
        new["bbox"] = old
    if entry.get("area") == ours["area"]:
        new["area"] = entry["area"]
    new.pop("ignore", None)
    return new


def _without_size(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in ("width", "height")}


def _inverse(places: Array) -> Array:
    """(entries,) the row of each entry, -1 for those that were left out."""
    found = np.full(int(places.max(initial=-1)) + 1, -1, np.int64)
    found[places] = np.arange(len(places))
    return found


def _at(rows: Array, place: int) -> int:
    return int(rows[place]) if place < len(rows) else -1
