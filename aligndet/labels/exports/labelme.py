"""LabelMe: a json for each image, shapes in pixels.

supervision reads these, too, and drops what is no box in silence; datumaro reads the older xml only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aligndet.common.json_stream import open_text
from aligndet.common.labels.entries import number, outline
from aligndet.common.labels.tables import MISSING, Tables
from aligndet.labels.exports.classes import Classes

OUTLINES = ("rectangle", "polygon")


def read_labelme(files: list[Path], images: Path | None) -> Tables:
    """Read rectangles, circles, and polygons as the boxes around them; other shapes are left out and counted.

    Args:
        files: a json for each image.
        images: folder that file names are put relative to, where ``imagePath`` lies elsewhere.
    """
    tables, classes = Tables(), Classes()
    for place, file in enumerate(files):
        try:
            with open_text(file) as stream:
                content = json.load(stream)
        except (ValueError, RecursionError, EOFError) as error:
            tables.notes.refuse(f"is no valid json ({error})", str(file))
            continue
        _add_file(tables, classes, file, content, place, images)
    classes.put(tables)
    return tables


def _add_file(
    tables: Tables, classes: Classes, file: Path, content: Any, place: int, images: Path | None
) -> None:
    name = content.get("imagePath") if isinstance(content, dict) else None
    if not isinstance(name, str) or not name or not isinstance(content.get("shapes"), list):
        tables.notes.refuse("has no 'imagePath' and 'shapes'; expected a json of LabelMe", str(file))
        return
    name = name.replace("\\", "/")
    if name.startswith("..") or (images is not None and not (images / name).is_file()):
        name = Path(name).name
    sides = [int(number(content.get(side)) or MISSING) for side in ("imageWidth", "imageHeight")]
    tables.add_image(place + 1, name, sides[0], sides[1], place)
    tables.files.append((len(tables.box_places), str(file)))
    for shape in content["shapes"]:
        box = _box(shape) if isinstance(shape, dict) else None
        if box is None:
            kind = shape.get("shape_type") if isinstance(shape, dict) else shape
            tables.notes.left_out(f"shapes that are no box ({kind})", str(file))
            continue
        if shape.get("shape_type") != "rectangle":
            tables.notes.mended("polygons and circles, taken as the boxes around them", str(file))
        number_of_box = len(tables.box_places)
        label = classes.of(str(shape.get("label")))
        tables.add_box(place + 1, label, box, number_of_box, number_of_box + 1, box[2] * box[3], 0)


def _box(shape: dict[str, Any]) -> tuple[float, ...] | None:
    """The box xywh around a shape; None for a point, a line or what is no shape."""
    points, kind = shape.get("points"), shape.get("shape_type") or "polygon"
    if not isinstance(points, list) or not all(
        isinstance(point, list) and len(point) == 2 for point in points
    ):
        return None
    if kind in OUTLINES and len(points) >= 2:
        return outline([[side for point in points for side in point]])
    if kind == "circle" and len(points) == 2:
        box = outline([[side for point in points for side in point]])
        if box is None:
            return None
        (x, y), _ = points
        radius = (box[2] ** 2 + box[3] ** 2) ** 0.5
        return float(x) - radius, float(y) - radius, 2 * radius, 2 * radius
    return None
