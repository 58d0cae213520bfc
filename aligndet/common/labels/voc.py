"""Pascal VOC: an xml file for each image, and lists of images in ``ImageSets``."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from aligndet.common.errors import InputError
from aligndet.common.labels.entries import number
from aligndet.common.labels.tables import MISSING, Tables

#: Lists that are taken for a split, the first that there is.
SPLITS = {"train": ("train", "trainval"), "val": ("val", "test")}


def read_voc_tables(path: Path, split: str = "") -> Tables:
    """Read xml files. Corners are taken as mmdet takes them; "difficult" objects are crowds.

    Args:
        path: the folder of xml files, or of ``Annotations``, ``JPEGImages`` and ``ImageSets``; or a list in
            ``ImageSets/Main``.
        split: ``train`` or ``val``; empty takes all files.

    Raises:
        InputError: no xml file, or one that is listed and is not there.
    """
    files = _files(path, split)
    tables = Tables()
    classes: dict[str, int] = {}
    for place, file in enumerate(files):
        _add_file(tables, classes, file, place)
    # in the order of their names: files of one data set agree, whichever images they list
    order = sorted(classes)
    tables.categories.extend((classes[name], name) for name in order)
    return tables


def _files(path: Path, split: str) -> list[Path]:
    if path.is_file():
        return _listed(path, path.parent.parent.parent)
    lists = path / "ImageSets" / "Main"
    for name in SPLITS.get(split, (split,) if split else ()):
        if (lists / f"{name}.txt").is_file():
            return _listed(lists / f"{name}.txt", path)
    if split and lists.is_dir():
        names = ", ".join(sorted(file.stem for file in lists.glob("*.txt")))
        raise InputError(f"{path}: no list for {split!r} in {lists} ({names}); give the list itself")
    folder = path / "Annotations" if (path / "Annotations").is_dir() else path
    files = sorted(folder.glob("**/*.xml"))
    if not files:
        raise InputError(f"{folder}: no xml file in it; expected Pascal VOC's annotations")
    return files


def _listed(file: Path, root: Path) -> list[Path]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not a text file; expected the name of an image on each line") from error
    files = [root / "Annotations" / f"{line.split()[0]}.xml" for line in lines if line.strip()]
    for place, xml in enumerate(files):
        if not xml.is_file():
            raise InputError(f"{file}, line {place + 1}: {xml} is not there")
    return files


def _add_file(tables: Tables, classes: dict[str, int], file: Path, place: int) -> None:
    try:
        root = ElementTree.parse(file).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        tables.notes.refuse(f"cannot be read as xml ({error})", str(file))
        return
    if root.tag != "annotation":
        tables.notes.refuse(f"holds <{root.tag}>; expected Pascal VOC's <annotation>", str(file))
        return
    name = (root.findtext("filename") or "").strip() or f"{file.stem}.jpg"
    if not Path(name).suffix:
        name = f"{name}.jpg"
    sides = [number(root.findtext(f"size/{side}") or "") or MISSING for side in ("width", "height")]
    tables.add_image(place + 1, name, int(sides[0]), int(sides[1]), place)
    tables.files.append((len(tables.box_places), str(file)))
    first = 1.0 if (root.findtext("source/database") or "").startswith("The VOC") else 0.0
    for found in root.iter("object"):
        _add_object(tables, classes, file, place + 1, found, first)


def _add_object(
    tables: Tables, classes: dict[str, int], file: Path, image: int, found: ElementTree.Element, first: float
) -> None:
    """Add a box; ``first`` is the number of the first pixel: 1 in the files of the VOC challenges."""
    name = (found.findtext("name") or "").strip()
    corners = [number(found.findtext(f"bndbox/{side}") or "") for side in ("xmin", "ymin", "xmax", "ymax")]
    if not name:
        tables.notes.refuse("has an <object> without <name>", str(file))
        return
    known = [side for side in corners if side is not None]
    if len(known) != 4:
        tables.notes.refuse(
            f"has a <bndbox> of {name!r} without four numbers xmin, ymin, xmax, ymax", str(file)
        )
        return
    x, y, right, bottom = (side - first for side in known)
    hard = (found.findtext("difficult") or "0").strip() == "1"
    category = classes.setdefault(name, len(classes) + 1)
    box = (x, y, right - x, bottom - y)
    area = box[2] * box[3]
    tables.add_box(image, category, box, len(tables.box_places), len(tables.box_places) + 1, area, int(hard))
