"""Entries of a COCO json, one by one: fields of one meaning are mended, others refused."""

from __future__ import annotations

import json
import math
import os
from math import nan
from typing import Any, TypeGuard

from aligndet.common.labels.ids import Key, is_plain, key_of
from aligndet.common.labels.report import Notes
from aligndet.common.labels.tables import MISSING, Tables


def where(key: str, place: int, entry: Any) -> str:
    """How an entry is named: its list, place and id."""
    number = entry.get("id") if isinstance(entry, dict) else None
    return f"{key}[{place}]" + (f" (id {short(number)})" if number is not None else "")


def short(value: Any) -> str:
    """A value as JSON, cut to what fits a line."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _is_object(entry: Any, notes: Notes, at: str) -> TypeGuard[dict[str, Any]]:
    if not isinstance(entry, dict):
        notes.refuse(f"is {short(entry)}; expected an object", at)
    return isinstance(entry, dict)


def add_image(tables: Tables, place: int, entry: Any) -> None:
    """Add an image that is not as it should be, or stands in a block with one."""
    notes, at = tables.notes, where("images", place, entry)
    if not _is_object(entry, notes, at):
        return
    key = _id(notes, at, entry, "id", "image")
    name = entry.get("file_name")
    if "file_name" not in entry:
        notes.refuse("has no 'file_name'; expected the name of a file", at)
    elif not isinstance(name, str) or not _is_name(name):
        notes.refuse(f"has 'file_name' {short(name)}; expected the name of a file", at)
    elif key is not None:
        width, height = (_side(notes, at, entry, side) for side in ("width", "height"))
        tables.add_image(key, name, width, height, place)


def _is_name(name: str) -> bool:
    try:
        return bool(name.strip()) and b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def _side(notes: Notes, at: str, entry: dict[str, Any], side: str) -> int:
    value = entry.get(side)
    if value is None or value == MISSING:
        return MISSING
    found = number(value)
    if found is None or not found < 2**31 or found < 0:
        notes.refuse(f"has {side!r} {short(value)}; expected pixels", at)
        return MISSING
    if type(value) is not int:
        notes.mended(f"{side!r} of images that is no whole number", at)
    return round(found) or MISSING


def _id(notes: Notes, at: str, entry: dict[str, Any], field: str, what: str) -> Key | None:
    """An id; where there is none the entry is refused."""
    if field not in entry:
        notes.refuse(f"has no {field!r}", at)
        return None
    key = key_of(entry[field])
    if key is None:
        notes.refuse(f"has {field!r} {short(entry[field])}; expected a number", at)
    elif type(entry[field]) is not type(key):
        notes.mended(f"{what} {field!r} as text or with a point, read as whole numbers", at)
    return key


def number(value: Any) -> float | None:
    """A number, or text that is one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def add_box(tables: Tables, place: int, entry: Any) -> None:
    """Add a box that is not as it should be, or stands in a block with one."""
    notes, at = tables.notes, where("annotations", place, entry)
    if not _is_object(entry, notes, at):
        return
    image = _id(notes, at, entry, "image_id", "annotation")
    category = None
    if entry.get("category_id") is not None:
        category = _id(notes, at, entry, "category_id", "annotation")
        if category is None:
            return
    xywh = _xywh(notes, at, entry)
    if image is None or xywh is None:
        return
    tables.add_box(
        image,
        category,
        xywh,
        place,
        _box_id(entry.get("id")),
        _or_nan(entry.get("area")),
        _flag(notes, at, entry, "iscrowd", MISSING),
        _flag(notes, at, entry, "ignore", 0),
        _or_nan(entry.get("score")),
    )


def _box_id(value: Any) -> int:
    key = key_of(value)
    return int(key) if key is not None and is_plain(key) else 0


def _or_nan(value: Any) -> float:
    found = number(value)
    return nan if found is None else found


def _flag(notes: Notes, at: str, entry: dict[str, Any], field: str, missing: int) -> int:
    value = entry.get(field)
    if value is None or value == "":
        return missing
    if type(value) is int and value in (0, 1):
        return value
    word = str(value).strip().lower()
    if word in ("0", "1", "0.0", "1.0", "false", "true", "no", "yes"):
        notes.mended(f"{field!r} as text or logical value, read as 0 or 1", at)
        return int(word in ("1", "1.0", "true", "yes"))
    notes.refuse(f"has {field!r} {short(value)}; expected 0 or 1", at)
    return missing


def _xywh(notes: Notes, at: str, entry: dict[str, Any]) -> tuple[float, ...] | None:
    """A box's sides in pixels; of its outline where it has only that."""
    value = entry.get("bbox")
    if value in (None, []):
        corners = outline(entry.get("segmentation"))
        if corners is not None:
            notes.mended("boxes without 'bbox', drawn around their 'segmentation'", at)
            return corners
        if "bbox" in entry:
            notes.left_out("annotations with an empty 'bbox'", at)
        else:
            notes.refuse("has no 'bbox'; expected [x, y, width, height] in pixels", at)
        return None
    sides = [number(side) for side in value] if isinstance(value, list) else []
    found = tuple(side for side in sides if side is not None)
    if len(sides) != 4 or len(found) != 4:
        notes.refuse(f"has 'bbox' {short(value)}; expected four numbers [x, y, width, height]", at)
        return None
    if any(isinstance(side, str) for side in value):
        notes.mended("numbers of 'bbox' as text", at)
    return found


def outline(segmentation: Any) -> tuple[float, ...] | None:
    """The box xywh around polygons ``[[x, y, x, y, ...], ...]``; None where there are none."""
    if not isinstance(segmentation, list):
        return None
    parts = segmentation if segmentation and isinstance(segmentation[0], list) else [segmentation]
    try:
        x = [float(value) for part in parts for value in part[0::2]]
        y = [float(value) for part in parts for value in part[1::2]]
    except (TypeError, ValueError):
        return None
    if len(x) < 2 or len(x) != len(y) or not all(map(math.isfinite, x + y)):
        return None
    return min(x), min(y), max(x) - min(x), max(y) - min(y)


def add_category(tables: Tables, place: int, entry: Any) -> None:
    """Add a class."""
    notes, at = tables.notes, where("categories", place, entry)
    if not _is_object(entry, notes, at):
        return
    key = _id(notes, at, entry, "id", "category")
    name = entry.get("name")
    if key is None:
        return
    if name is None or not str(name).strip():
        notes.mended("classes without a name, named by their id", at)
        name = key
    elif not isinstance(name, str):
        notes.mended("class names that are numbers, read as text", at)
    tables.categories.append((key, str(name)))
