"""Which kind of labels a file or folder holds, told by its content."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from aligndet.common.errors import InputError
from aligndet.common.json_stream import open_text

HEAD = 4096  # characters looked at
YAML = (".yaml", ".yml")


class Kind(Enum):
    """Kinds that are read as they are; the value is for people."""

    COCO = "COCO json"
    YOLO = "YOLO"
    VOC = "Pascal VOC"


def kind_of(path: Path) -> Kind:
    """Tell the kind of labels.

    Raises:
        InputError: another kind; says how to convert it where it is known.
    """
    if path.is_dir():
        return _kind_of_folder(path)
    suffix = path.suffix.lower()
    if suffix in YAML:
        return Kind.YOLO
    if suffix == ".txt":
        return Kind.VOC if path.parent.parent.name == "ImageSets" else Kind.YOLO
    if suffix == ".xml":
        raise InputError(
            f"{path}: one xml file; give the folder of Pascal VOC's files, or convert an export of CVAT: "
            f"aligndet labels convert {path} OUT.json"
        )
    _refuse_other_json(path)
    return Kind.COCO


def _kind_of_folder(path: Path) -> Kind:
    if (path / "Annotations").is_dir() or _any(path, "*.xml"):
        return Kind.VOC
    if yaml_in(path) or (path / "labels").is_dir() or _any(path, "*.txt") or _any(path, "*/*.txt"):
        return Kind.YOLO
    files = sorted(path.glob("*.json")) + sorted(path.glob("annotations/*.json"))
    if files:
        raise InputError(
            f"{path}: {len(files)} json files in this folder; give one COCO json, such as {files[0]}, or "
            f"convert them: aligndet labels convert {path} OUT.json"
        )
    raise InputError(
        f"{path}: no labels in this folder; expected a COCO json, YOLO's data.yaml or txt files, or Pascal "
        "VOC's xml files"
    )


def yaml_in(path: Path) -> Path | None:
    """The ``data.yaml`` of a folder, or its only yaml file."""
    files = [file for suffix in YAML for file in sorted(path.glob(f"*{suffix}"))]
    named = [file for file in files if file.stem in ("data", "dataset")]
    return named[0] if named else files[0] if len(files) == 1 else None


def _any(path: Path, pattern: str) -> bool:
    return any(file.name not in ("classes.txt", "README.txt") for file in path.glob(pattern))


def _refuse_other_json(path: Path) -> None:
    """Name the tool that a json comes from, where it is none of COCO's."""
    try:
        with open_text(path) as stream:
            head = stream.read(HEAD).lstrip()
    except (OSError, EOFError, UnicodeDecodeError):
        return  # the reader says what is wrong
    mend = f"convert it: aligndet labels convert {path} OUT.json"
    if head.startswith("["):
        if '"bbox"' in head and '"image_id"' in head:
            raise InputError(
                f"{path}: a list of results (predictions); expected labels, which name their images"
            )
        raise InputError(f"{path}: a list, as Label Studio writes it; expected a COCO json: {mend}")
    for mark, tool in MARKS.items():
        if mark in head and '"images"' not in head:
            raise InputError(f"{path}: an export of {tool}; expected a COCO json: {mend}")


#: What the beginning of a json tells of the tool that wrote it.
MARKS = {
    '"shapes"': "LabelMe",
    '"dm_format_version"': "Datumaro",
    '"_via_settings"': "VIA",
    '"regions"': "VIA",
}
