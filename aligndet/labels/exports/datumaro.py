"""CVAT's xml and Datumaro's json, read by datumaro, whose authors made both formats."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from aligndet.common.errors import InputError
from aligndet.common.labels.tables import MISSING, Tables
from aligndet.labels.exports.classes import Classes

#: Kinds of annotations that a box is drawn around.
BOXES = ("bbox", "polygon", "mask", "rotated_bbox")


def read_cvat(files: list[Path], images: Path | None) -> Tables:
    """Read "CVAT for images" xml files; see :func:`_read`."""
    return _read(files, images, "cvat", "")


def read_datumaro(files: list[Path], images: Path | None) -> Tables:
    """Read json files of Datumaro; see :func:`_read`."""
    return _read(files, images, "datumaro", "annotations")


def _read(files: list[Path], images: Path | None, format_name: str, below: str) -> Tables:
    """Read boxes, and outlines as the boxes around them; other annotations are left out and counted.

    Each file is read in a folder of its own, for datumaro takes whole folders.

    Raises:
        InputError: datumaro is not installed, or cannot read a file.
    """
    try:
        import datumaro
    except ImportError as error:
        raise InputError(
            f"{files[0]}: datumaro reads such exports, and is not installed: pip install datumaro; or export "
            "COCO from the tool"
        ) from error
    tables, classes = Tables(), Classes()
    for file in files:
        dataset = _dataset(datumaro, file, images, format_name, below)
        names = [label.name for label in dataset.categories()[datumaro.AnnotationType.label].items]
        for name in names:
            classes.of(name)
        for item in dataset:
            _add_item(tables, classes, names, file, item, images)
    classes.put(tables)
    return tables


def _dataset(datumaro: Any, file: Path, images: Path | None, format_name: str, below: str) -> Any:
    """Read one file in a folder of its own, with a link to the images, each of which datumaro looks up."""
    beside = (images, file.parent / "images", file.parent.parent / "images", file.parent)
    place = next(folder for folder in beside if folder is not None and folder.is_dir())
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / below / file.name
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, copy)
        (Path(folder) / "images").symlink_to(place.resolve(), target_is_directory=True)
        try:
            dataset = datumaro.Dataset.import_from(folder, format_name)
            dataset.init_cache()
        except Exception as error:  # of its parsers, of many kinds
            cause = error.__cause__ or error
            raise InputError(
                f"{file}: datumaro cannot read it ({cause}; images in {place}); give their folder "
                "with --images"
            ) from error
    return dataset


def _add_item(
    tables: Tables, classes: Classes, names: list[str], file: Path, item: Any, images: Path | None
) -> None:
    key = len(tables.names) + 1
    at = f"{file}, item {item.id}"
    name = _name(item, images)
    size = (item.media.size if item.media is not None else None) or (MISSING, MISSING)
    tables.add_image(key, name, int(size[1]), int(size[0]), key - 1)
    tables.files.append((len(tables.box_places), at))
    for annotation in item.annotations:
        kind = annotation.type.name
        if kind not in BOXES or annotation.label is None:
            tables.notes.left_out(f"annotations that are no labelled box ({kind})", at)
            continue
        if kind != "bbox":
            tables.notes.mended("outlines, taken as the boxes around them", at)
        x, y, w, h = (float(side) for side in annotation.get_bbox())
        place = len(tables.box_places)
        crowd = int(bool(annotation.attributes.get("is_crowd")))
        label = classes.of(names[annotation.label])
        tables.add_box(key, label, (x, y, w, h), place, place + 1, w * h, crowd)


def _name(item: Any, images: Path | None) -> str:
    """The file name of an item, which is its id with the ending of its image."""
    path = Path(getattr(item.media, "path", "") or "")
    suffix = path.suffix
    if not suffix and images is not None:
        found = sorted(images.glob(f"{item.id}.*"))
        suffix = found[0].suffix if found else ""
    return item.id if item.id.lower().endswith(suffix.lower()) and suffix else f"{item.id}{suffix}"
