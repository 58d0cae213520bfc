"""The one reader of COCO json: every entry is checked, and an error names the file, the entry and the key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aligndet.common.errors import InputError
from aligndet.common.json_stream import stream_object

LISTS = ("images", "annotations", "categories")


def read_coco(path: Path) -> dict[str, Any]:
    """Read a COCO detection file whole.

    Returns:
        Its dictionary; ``images`` have an ``id`` and a ``file_name``, ``annotations`` an ``image_id``, a
        ``category_id`` and a ``bbox`` (xywh in pixels), ``categories`` an ``id`` and a ``name``.

    Raises:
        InputError: no such file, no JSON, a list is missing, or an entry lacks a key.
    """
    coco = _load(path)
    for key in LISTS:
        if not isinstance(coco, dict) or not isinstance(coco.get(key), list):
            raise InputError(f"{path}: expected a COCO detection file with a list under {key!r}")
        for place, entry in enumerate(coco[key]):
            fault = entry_fault(key, entry)
            if fault:
                raise InputError(f"{path}: {key}[{place}] {fault}")
    _refuse_mixed_ids(path, coco)
    return coco


def _refuse_mixed_ids(path: Path, coco: dict[str, Any]) -> None:
    """Refuse two images of one id, and boxes whose image is missed because one of the ids is text."""
    texts: dict[str, Any] = {}
    for place, image in enumerate(coco["images"]):
        if str(image["id"]) in texts:
            raise InputError(f"{path}: images[{place}] has the 'id' {image['id']!r} of an image before it")
        texts[str(image["id"])] = image["id"]
    for place, box in enumerate(coco["annotations"]):
        wanted = texts.get(str(box["image_id"]))
        if wanted is not None and type(wanted) is not type(box["image_id"]):
            raise InputError(
                f"{path}: annotations[{place}] has 'image_id' {box['image_id']!r}, the image's 'id' is "
                f"{wanted!r}; both must be numbers, or both text"
            )


def stream_coco(path: Path) -> Iterator[tuple[str, int, Any]]:
    """Yield list name, place and entry of each of :data:`LISTS` without holding the file in memory.

    Any other value of the file (``info``) comes with place 0. The entries are not checked: a reader that
    meets one it cannot use raises :func:`bad_entry`.

    Raises:
        InputError: no such file, or no JSON object.
    """
    last, place = "", 0
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        for key, value in stream_object(path):
            place = place + 1 if key == last else 0
            last = key
            yield key, place, value
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file; expected a COCO json") from error


def bad_entry(path: Path, key: str, place: int, entry: Any, error: Exception | None = None) -> InputError:
    """Make the error for an entry that cannot be used; its fault is found here, or else said by ``error``."""
    fault = entry_fault(key, entry) or f"cannot be read: {error!r}"
    return InputError(f"{path}: {key}[{place}] {fault}")


def entry_fault(key: str, entry: Any) -> str:
    """Say what an entry of a COCO list lacks; empty where it is as it must be."""
    if not isinstance(entry, Mapping):
        return f"is {_short(entry)}; expected an object"
    for name in _NEEDED[key]:
        if name not in entry:
            return f"has no {name!r}: {_short(entry)}"
    if key == "annotations" and not _is_box(entry["bbox"]):
        return f"has 'bbox' {_short(entry['bbox'])}; expected four numbers [x, y, width, height]"
    if key == "images" and not isinstance(entry["file_name"], str):
        return f"has 'file_name' {_short(entry['file_name'])}; expected text"
    return ""


_NEEDED = {
    "images": ("id", "file_name"),
    "annotations": ("image_id", "bbox", "category_id"),
    "categories": ("id", "name"),
}


def class_names(first: Path, *others: Path) -> tuple[str, ...]:
    """Class names of a COCO file, in its order; label ``i`` is the ``i``-th category.

    Raises:
        InputError: no categories, or another file lists other names or another order (labels would differ).
    """
    names = tuple(str(category["name"]) for category in read_coco(first)["categories"])
    if not names:
        raise InputError(f"{first}: 'categories' is empty")
    for path in others:
        theirs = tuple(str(category["name"]) for category in read_coco(path)["categories"])
        if theirs != names:
            raise InputError(f"{path}: its categories are {list(theirs)}, but {first} has {list(names)}")
    return names


def _load(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; expected COCO annotations")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file; expected a COCO json") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error}); expected COCO annotations") from error


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(type(side) in (int, float) for side in value)


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
