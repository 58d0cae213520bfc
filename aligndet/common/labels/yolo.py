"""YOLO: a txt file for each image, and ``data.yaml`` with the folders and the names of the classes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from aligndet.common.errors import InputError
from aligndet.common.image_table import ImageTable
from aligndet.common.images.folders import add_folder
from aligndet.common.images.outside import outside_allowed
from aligndet.common.images.reading import UnreadableImageError, image_size
from aligndet.common.labels.kinds import YAML, yaml_in
from aligndet.common.labels.tables import Tables

SPLITS = ("train", "val", "test")
#: Fractions may be a little above 1 by rounding.
ROUNDING = 0.01


@dataclass(frozen=True)
class _Set:
    """Holds images with the text file of each, and the names of the classes."""

    root: Path
    images: list[tuple[Path, Path]]
    classes: dict[int, str]


def read_yolo_tables(path: Path, images: Path | None, split: str = "") -> Tables:
    """Read text files ``class x y w h`` (centre and sides, fractions of the image).

    Args:
        path: ``data.yaml``, a folder with it, a folder of txt files, or a list of images.
        images: folder of the images, which file names are then relative to.
        split: ``train`` or ``val`` of data.yaml; empty takes all.

    Raises:
        InputError: no images, or none of what YOLO expects.
    """
    found = _of_yaml(path, split) if _yaml(path) else _of_folder(path, images)
    tables = Tables(folder=images or found.root)
    used: set[int] = set()
    for place, (image, text) in enumerate(found.images):
        _add_image(tables, place, image, text, used)
    if not found.classes:
        tables.notes.mended("no names of classes, named by their numbers")
    names = found.classes or {number: str(number) for number in range(max(used, default=0) + 1)}
    tables.categories.extend(sorted(names.items()))
    return tables


def _yaml(path: Path) -> Path | None:
    return yaml_in(path) if path.is_dir() else path if path.suffix.lower() in YAML else None


def _of_yaml(path: Path, split: str) -> _Set:
    file = _yaml(path)
    assert file is not None
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(f"{file}: cannot be read as yaml ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise InputError(f"{file}: expected YOLO's data.yaml with 'train', 'val' and 'names'")
    root = file.parent / str(content.get("path") or "")
    root = root if root.is_dir() else file.parent
    wanted = [split] if split else [name for name in SPLITS if content.get(name)]
    pairs: dict[Path, Path] = {}
    for name in wanted:
        places = content.get(name) or (content.get("test") if name == "val" else None)
        if not places:
            raise InputError(f"{file}: no {name!r} in it; expected the folder of its images")
        for place in places if isinstance(places, list) else [places]:
            pairs.update(_pairs(_place(file, root, str(place), name)))
    return _Set(file.parent, list(pairs.items()), _names(file, content.get("names")))


def _names(file: Path, names: Any) -> dict[int, str]:
    try:
        pairs = names.items() if isinstance(names, dict) else enumerate(names or [])
        return {int(number): str(name) for number, name in pairs}
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{file}: 'names' is {names!r}; expected a list of class names") from error


def _place(file: Path, root: Path, place: str, name: str) -> Path:
    """A folder or list of data.yaml; exports of Roboflow write ``../train/images`` for ``train/images``."""
    tried = [root / place, file.parent / place, file.parent / place.removeprefix("../")]
    for found in tried:
        if found.exists():
            return found
    raise InputError(f"{file}: {name!r} is {place}, which is none of {', '.join(map(str, tried))}")


def _pairs(place: Path) -> list[tuple[Path, Path]]:
    """Images of a folder or list, each with the place of its text file."""
    if place.is_file():
        lines = os.fsdecode(place.read_bytes()).splitlines()
        images = [place.parent / line.strip() for line in lines if line.strip()]
    else:
        images = [place / name for name in _listed(place)]
    return [(image, _text_of(image)) for image in images]


def _text_of(image: Path) -> Path:
    """Where YOLO looks: ``labels`` in place of the last folder ``images``, else beside the image."""
    parts = list(image.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _listed(folder: Path) -> list[str]:
    table = ImageTable()
    try:
        add_folder(folder, "", table)
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be read: {error.strerror or error}") from error
    return [entry.file_name for entry in table]


def _of_folder(path: Path, images: Path | None) -> _Set:
    """A folder of txt files, or a list of images."""
    if path.is_file():
        pairs = _pairs(path)
        return _Set(path.parent, pairs, {})
    texts = path / "labels" if (path / "labels").is_dir() else path
    beside = [images, path / "images", texts.parent / "images", texts]
    root = next(place for place in beside if place is not None and place.is_dir())
    pairs = [(root / name, (texts / name).with_suffix(".txt")) for name in _listed(root)]
    if not pairs:
        raise InputError(f"{path}: no images of these labels in {root}; give their folder with --images")
    return _Set(root, pairs, _class_list(path, texts))


def _class_list(*folders: Path) -> dict[int, str]:
    for folder in folders:
        for name in ("classes.txt", "obj.names"):
            if (folder / name).is_file():
                text = (folder / name).read_text(encoding="utf-8-sig", errors="replace")
                return dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))
    return {}


def _add_image(tables: Tables, place: int, image: Path, text: Path, used: set[int]) -> None:
    assert tables.folder is not None
    name = os.path.relpath(image, tables.folder)
    if name.startswith("..") and not outside_allowed():
        tables.notes.refuse(
            f"is not below {tables.folder}; give its folder (--images, --train-images, --val-images), or "
            "--allow-outside",
            str(image),
        )
        return
    try:
        width, height = image_size(image)
    except UnreadableImageError as error:
        tables.notes.left_out(f"images that cannot be read ({error})", str(image))
        return
    tables.add_image(place + 1, Path(name).as_posix(), width, height, place)
    if not text.is_file():
        return
    lines = text.read_bytes().decode("utf-8-sig", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            _add_line(tables, place + 1, (width, height), line.split(), f"{text}, line {number}", used)


def _add_line(
    tables: Tables, image: int, size: tuple[int, int], words: list[str], at: str, used: set[int]
) -> None:
    try:
        category, *values = (float(word) for word in words)
    except ValueError:
        tables.notes.refuse("is no line of numbers; expected: class x y width height", at)
        return
    polygon = len(values) >= 6 and not len(values) % 2
    if (len(values) not in (4, 5) and not polygon) or not category.is_integer() or category < 0:
        tables.notes.refuse(f"has {len(words)} numbers; expected: class x y width height", at)
        return
    if not all(-ROUNDING <= value <= 1 + ROUNDING for value in values[:4]):
        tables.notes.refuse("has numbers beyond 0 and 1; expected fractions of the image, not pixels", at)
        return
    score = float("nan")
    if polygon:
        tables.notes.mended("polygons, taken as the boxes around them", at)
        x, y = values[0::2], values[1::2]
        left, top, w, h = min(x), min(y), max(x) - min(x), max(y) - min(y)
    else:
        w, h = values[2:4]
        left, top = values[0] - w / 2, values[1] - h / 2
        score = values[4] if len(values) == 5 else score
    box = (left * size[0], top * size[1], w * size[0], h * size[1])
    used.add(int(category))
    number = len(tables.box_places)
    area = box[2] * box[3]
    tables.add_box(image, int(category), box, number, number + 1, area, 0, 0, score)
    tables.files.append((number, at))
