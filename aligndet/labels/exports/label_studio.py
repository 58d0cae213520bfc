"""Label Studio's json (and JSON_MIN): a list of tasks, boxes in percent of their image.

Label Studio's own converter (``label-studio-sdk``) brings 45 packages and needs the labelling interface of
the project; none of supervision, datumaro and pylabel reads this format.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from aligndet.common.errors import InputError
from aligndet.common.json_stream import open_text
from aligndet.common.labels.entries import number, outline
from aligndet.common.labels.tables import MISSING, Tables
from aligndet.labels.exports.classes import Classes

NAMES = ("rectanglelabels", "polygonlabels", "labels")


def read_label_studio(files: list[Path], images: Path | None) -> Tables:
    """Read rectangles, and polygons as the boxes around them; other regions are left out and counted.

    Args:
        files: json exports.
        images: folder of the images: the names of uploads are looked up there.

    Raises:
        InputError: no list of tasks.
    """
    tables, classes = Tables(), Classes()
    for file in files:
        for place, task in enumerate(_tasks(file)):
            _add_task(tables, classes, f"{file.name}, task {place}", task, images)
    classes.put(tables)
    return tables


def _tasks(file: Path) -> list[dict[str, Any]]:
    try:
        with open_text(file) as stream:
            tasks = json.load(stream)
    except (ValueError, RecursionError, EOFError) as error:
        raise InputError(f"{file}: not valid json ({error}); expected Label Studio's export") from error
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise InputError(f"{file}: expected Label Studio's export, a list of tasks")
    return tasks


def _add_task(tables: Tables, classes: Classes, at: str, task: dict[str, Any], images: Path | None) -> None:
    regions = list(_regions(task))
    reference = _reference(task)
    if reference is None:
        tables.notes.refuse("names no image; expected 'data': {'image': ...}", at)
        return
    key = len(tables.names) + 1
    sizes = [(region.get("original_width"), region.get("original_height")) for region in regions]
    width, height = next(((w, h) for w, h in sizes if number(w) and number(h)), (MISSING, MISSING))
    tables.add_image(key, _name(reference, images), int(width or MISSING), int(height or MISSING), key - 1)
    tables.files.append((len(tables.box_places), at))
    for region in regions:
        _add_region(tables, classes, at, region, key)


def _regions(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Regions of the first annotation that was not cancelled, each with its value beside it."""
    done = [entry for entry in task.get("annotations") or [] if isinstance(entry, dict)]
    kept = [entry for entry in done if not entry.get("was_cancelled")]
    for entry in kept[:1]:
        for region in entry.get("result") or []:
            if isinstance(region, dict) and isinstance(region.get("value"), dict):
                yield {**region, **region["value"]}
    for value in task.values():  # JSON_MIN: regions stand in the task itself
        if isinstance(value, list) and not done:
            yield from (entry for entry in value if isinstance(entry, dict) and "original_width" in entry)


def _reference(task: dict[str, Any]) -> str | None:
    data = task.get("data") if isinstance(task.get("data"), dict) else task
    assert isinstance(data, dict)
    texts = [value for key, value in data.items() if key in ("image", "img", "ocr", "url")]
    texts += [value for value in data.values() if isinstance(value, str) and "/" in value]
    return next((text for text in texts if isinstance(text, str) and text), None)


def _name(reference: str, images: Path | None) -> str:
    """The file that a reference such as ``/data/upload/1/8ad5-a.jpg`` or ``...?d=folder/a.jpg`` means."""
    parts = urlsplit(reference)
    local = parse_qs(parts.query).get("d")
    path = PurePosixPath(unquote(local[0] if local else parts.path).lstrip("/"))
    names = ["/".join(path.parts[place:]) for place in range(len(path.parts))]
    _, _, without = path.name.partition("-")  # uploads get eight digits and a dash before their name
    names += [without] if without else []
    there = [name for name in names if images is not None and (images / name).is_file()]
    return there[0] if there else path.name


def _add_region(tables: Tables, classes: Classes, at: str, region: dict[str, Any], image: int) -> None:
    kind = str(region.get("type") or "")
    names = next((region[key] for key in NAMES if region.get(key)), None)
    width, height = number(region.get("original_width")), number(region.get("original_height"))
    box = _percent(region)
    if box is None or not names or not width or not height:
        what = kind or "others"
        tables.notes.left_out(f"regions that are no labelled box ({what})", at)
        return
    if "points" in region:
        tables.notes.mended("polygons, taken as the boxes around them", at)
    x, y, w, h = (side * whole / 100 for side, whole in zip(box, (width, height) * 2, strict=True))
    if angle := number(region.get("rotation")):
        tables.notes.mended("rotated boxes, taken as the boxes around them", at)
        x, y, w, h = _turned(x, y, w, h, math.radians(angle))
    label = classes.of(str(names[0] if isinstance(names, list) else names))
    place = len(tables.box_places)
    tables.add_box(image, label, (x, y, w, h), place, place + 1, w * h, 0)


def _turned(x: float, y: float, w: float, h: float, angle: float) -> tuple[float, ...]:
    """The box xywh around one that is turned about its upper left corner, clockwise."""
    cos, sin = math.cos(angle), math.sin(angle)
    corners = [(x + a * cos - b * sin, y + a * sin + b * cos) for a in (0, w) for b in (0, h)]
    box = outline([[side for corner in corners for side in corner]])
    assert box is not None
    return box


def _percent(region: dict[str, Any]) -> tuple[float, ...] | None:
    """The box xywh in percent of the image."""
    points = region.get("points")
    if isinstance(points, list):
        return outline([[side for point in points if isinstance(point, list) for side in point]])
    sides = [number(region.get(side)) for side in ("x", "y", "width", "height")]
    known = tuple(side for side in sides if side is not None)
    return known if len(known) == 4 else None
