"""Which tool wrote an export, told by its content: a tool more is a reader and a row of :data:`EXPORTS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aligndet.common.json_stream import open_text
from aligndet.common.labels.tables import Tables
from aligndet.labels.exports.datumaro import read_cvat, read_datumaro
from aligndet.labels.exports.label_studio import read_label_studio
from aligndet.labels.exports.labelme import read_labelme

HEAD = 4096  # characters looked at


@dataclass(frozen=True)
class Export:
    """One kind of export.

    Attributes:
        tool: for people.
        holds: tells by the beginning of a file whether it is of this kind.
        read: gives its entries; gets the files, and the folder of the images or None.
    """

    tool: str
    holds: Callable[[str], bool]
    read: Callable[[list[Path], Path | None], Tables]


def _is_label_studio(head: str) -> bool:
    return head.startswith("[") and any(mark in head for mark in ('"data"', '"annotations"', 'labels"'))


def _is_labelme(head: str) -> bool:
    return head.startswith("{") and '"shapes"' in head


def _is_cvat(head: str) -> bool:
    return "<annotations" in head


def _is_datumaro(head: str) -> bool:
    return head.startswith("{") and ('"dm_format_version"' in head or '"label_groups"' in head)


#: Every kind that :func:`read_export` knows; the first that holds is taken.
EXPORTS = [
    Export("Label Studio", _is_label_studio, read_label_studio),
    Export("LabelMe", _is_labelme, read_labelme),
    Export("CVAT", _is_cvat, read_cvat),
    Export("Datumaro", _is_datumaro, read_datumaro),
]


def read_export(path: Path, images: Path | None) -> tuple[str, Tables] | None:
    """Read an export of an annotation tool: a file of it, or the folder that it was unpacked to.

    Returns:
        The tool and the entries; None where it is none that is known.

    Raises:
        InputError: an export that cannot be read; names the file.
    """
    for pattern in ("", "*.json", "*.xml", "annotations/*.json"):
        files = [path] if path.is_file() else sorted(path.glob(pattern)) if pattern else []
        if not files:
            continue
        head = _head(files[0])
        for kind in EXPORTS:
            if kind.holds(head):
                return kind.tool, kind.read([file for file in files if kind.holds(_head(file))], images)
    return None


def _head(file: Path) -> str:
    try:
        with open_text(file) as stream:
            return stream.read(HEAD).lstrip()
    except (OSError, EOFError, UnicodeError):
        return ""
