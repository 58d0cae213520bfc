"""Proposal files of this and other projects, all read into a :class:`..store.ProposalStore`.

A format is a module with a reader and an entry in :data:`FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aligndet.common.errors import InputError
from aligndet.common.json_stream import stream_object
from aligndet.proposals.formats.coco import read_coco
from aligndet.proposals.formats.mmdet_pickle import read_mmdet_pickle
from aligndet.proposals.formats.soco import read_soco
from aligndet.proposals.store import ProposalStore, is_store

_COCO_KEYS = frozenset({"images", "annotations", "categories"})

Order = Path | str | None


@dataclass(frozen=True)
class Format:
    """One kind of proposal file.

    Attributes:
        kind: for people.
        holds: tells by suffix or content whether a path is of this kind.
        read: gives its proposals; the second argument is the COCO json whose images the file follows.
    """

    kind: str
    holds: Callable[[Path], bool]
    read: Callable[[Path, Order], ProposalStore]


def _is_coco(path: Path) -> bool:
    return _first_key(path) in _COCO_KEYS


def _is_soco(path: Path) -> bool:
    return _first_key(path) not in _COCO_KEYS | {None}


def _is_pickle(path: Path) -> bool:
    return path.suffix in (".pkl", ".pickle")


#: Every kind that :func:`read_proposals` knows; the first that holds is taken.
FORMATS = [
    Format("a proposal store (folder)", Path.is_dir, lambda path, order: ProposalStore.open(path)),
    Format(
        "a proposal pickle of mmdet", _is_pickle, lambda path, order: read_mmdet_pickle(path, _names(order))
    ),
    Format("a COCO json", _is_coco, lambda path, order: read_coco(path)),
    Format("SoCo's json", _is_soco, lambda path, order: read_soco(path)),
]


def read_proposals(path: Path | str, order: Order = None) -> ProposalStore:
    """Open proposals of any kind that is known; the kind is told by the content, not by the name.

    Args:
        path: of one of :data:`FORMATS`. A store is mapped, everything else is read into memory.
        order: COCO json whose images a list of mmdet 2.x follows; only such a list needs it.

    Raises:
        InputError: no such file, or none of the kinds.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; expected {_kinds()}")
    for kind in FORMATS:
        if kind.holds(path):
            return kind.read(path, order)
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file; expected {_kinds()}") from error
    raise InputError(f"{path}: no list of images or boxes in it; expected {_kinds()}")


def _first_key(path: Path) -> str | None:
    """The first key of a json object that COCO names, or that holds a list of lists; None: neither."""
    try:
        for key, value in stream_object(path):
            if key in _COCO_KEYS or isinstance(value, list):
                return key
    except UnicodeDecodeError:
        return None
    return None


def _kinds() -> str:
    *others, last = (kind.kind for kind in FORMATS)
    return f"{', '.join(others)}, or {last}"


def _names(order: Order) -> list[str] | None:
    if order is None:
        return None
    return [str(value["file_name"]) for key, value in stream_object(Path(order)) if key == "images"]


__all__ = ["FORMATS", "Format", "is_store", "read_coco", "read_mmdet_pickle", "read_proposals", "read_soco"]
