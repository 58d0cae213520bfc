"""COCO json, plain or packed (.json.gz), read in blocks: memory grows with its numbers, not with its text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import msgspec

from aligndet.common.errors import InputError
from aligndet.common.json_stream import stream_blocks
from aligndet.common.labels.entries import add_box, add_category, add_image, short
from aligndet.common.labels.ids import HIGH, LOW
from aligndet.common.labels.tables import MISSING, Tables

LISTS = ("images", "annotations", "categories")
NAN = float("nan")
Id = Annotated[int, msgspec.Meta(ge=LOW, le=HIGH)]
Flag = Annotated[int, msgspec.Meta(ge=MISSING, le=1)]
Side = Annotated[int, msgspec.Meta(ge=MISSING, le=2**31 - 1)]


class _Image(msgspec.Struct, gc=False):
    """Holds an image entry as it should be."""

    id: Id
    file_name: str
    width: Side = MISSING
    height: Side = MISSING


class _Box(msgspec.Struct, gc=False):
    """Holds an annotation as it should be."""

    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float]
    id: Id = 0
    area: float = NAN
    iscrowd: Flag = MISSING
    ignore: Flag = 0
    score: float = NAN


_DECODERS: dict[str, Any] = {
    "images": msgspec.json.Decoder(list[_Image]),
    "annotations": msgspec.json.Decoder(list[_Box]),
}


def _decode(key: str, text: str) -> list[Any] | None:
    try:
        return _DECODERS[key].decode(text) if key in _DECODERS else None
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None


def stream_coco(path: Path) -> Iterator[tuple[str, int, list[Any] | None, Any]]:
    """Yield list name, place of the first entry, and entries, block by block; or a name, 0, None and a value.

    Raises:
        InputError: no such file, or no JSON object.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; expected COCO annotations")
    places: dict[str, int] = {}
    ended, last = set(), ""
    for key, entries, value in stream_blocks(path, _decode):
        if key != last and key in LISTS:
            if key in ended:
                raise InputError(f"{path}: two lists {key!r} in it; expected one")
            ended.add(key)
        last = key
        yield key, places.get(key, 0), entries, value
        places[key] = places.get(key, 0) + len(entries or ())


def read_coco_tables(
    path: Path, needed: tuple[str, ...] = ("images", "annotations"), boxes: bool = True
) -> Tables:
    """Read a COCO json.

    Args:
        path: of the file.
        needed: lists that it must have.
        boxes: whether boxes are read, too.

    Raises:
        InputError: no such file, no JSON, or a list is missing.
    """
    tables = Tables()
    seen = set()
    for key, place, entries, value in stream_coco(path):
        if entries is None and key in LISTS:
            raise InputError(f"{path}: {key!r} is {short(value)}; expected a list")
        if key == "images":
            seen.add(key)
            _add_images(tables, place, entries or [])
        elif key == "annotations":
            seen.add(key)
            if boxes:
                _add_boxes(tables, place, entries or [])
        elif key == "categories":
            seen.add(key)
            for number, entry in enumerate(entries or [], place):
                add_category(tables, number, entry)
        elif entries is None:
            tables.head[key] = value
        else:
            tables.head.setdefault(key, []).extend(entries)
    for key in needed:
        if key not in seen:
            raise InputError(f"{path}: expected a COCO detection file with a list under {key!r}")
    return tables


def _add_images(tables: Tables, place: int, entries: list[Any]) -> None:
    if entries and type(entries[0]) is _Image:
        tables.image_keys.extend(entry.id for entry in entries)
        tables.names.extend(entry.file_name for entry in entries)
        tables.sizes.extend(chain.from_iterable((entry.width, entry.height) for entry in entries))
        tables.image_places.extend(range(place, place + len(entries)))
        return
    for number, entry in enumerate(entries, place):
        add_image(tables, number, entry)


def _add_boxes(tables: Tables, place: int, entries: list[Any]) -> None:
    if entries and type(entries[0]) is _Box:
        images, categories = tables.images_of, tables.categories_of
        tables.box_images.extend([images.setdefault(box.image_id, len(images)) for box in entries])
        tables.box_categories.extend(
            [categories.setdefault(box.category_id, len(categories)) for box in entries]
        )
        tables.xywh.extend(chain.from_iterable([box.bbox for box in entries]))
        tables.areas.extend([box.area for box in entries])
        tables.scores.extend([box.score for box in entries])
        tables.crowd.extend([box.iscrowd for box in entries])
        tables.ignore.extend([box.ignore for box in entries])
        tables.box_ids.extend([box.id for box in entries])
        tables.box_places.extend(range(place, place + len(entries)))
        return
    for number, entry in enumerate(entries, place):
        add_box(tables, number, entry)
