"""Proposal files of this and other projects, all read into a :class:`..store.ProposalStore`.

A format is a module with a reader and an entry in :data:`FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aligndet.common.errors import InputError
from aligndet.common.json_stream import stream_object
from aligndet.common.pickles import is_pickle, load_pickle
from aligndet.proposals.formats.coco import read_coco
from aligndet.proposals.formats.detectron2_pickle import is_detectron2, read_detectron2_pickle
from aligndet.proposals.formats.mmdet_pickle import read_mmdet_pickle
from aligndet.proposals.formats.order import Given
from aligndet.proposals.formats.results import is_list, read_results
from aligndet.proposals.formats.sam import is_sam_folder, read_sam
from aligndet.proposals.formats.soco import read_soco
from aligndet.proposals.store import ProposalStore, is_store

_COCO_KEYS = frozenset({"images", "annotations", "categories"})


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
    read: Callable[[Path, Given], ProposalStore]


def _read_pickle(path: Path, order: Given) -> ProposalStore:
    content = load_pickle(path)
    if is_detectron2(content):
        return read_detectron2_pickle(path, content, order)
    return read_mmdet_pickle(path, content, order)


#: Every kind that :func:`read_proposals` knows; the first that holds is taken.
FORMATS = [
    Format("a proposal store (folder)", is_store, lambda path, order: ProposalStore.open(path)),
    Format("SAM's json files (folder or file)", is_sam_folder, lambda path, order: read_sam(path)),
    # whatever else a folder is, the store says what is missing
    Format("a proposal store (folder)", Path.is_dir, lambda path, order: ProposalStore.open(path)),
    Format("a proposal pickle of mmdet or detectron2", is_pickle, _read_pickle),
    Format("a list of results (json)", is_list, read_results),
    Format("SAM's json files (folder or file)", lambda path: _kind(path) == "sam", lambda p, _: read_sam(p)),
    Format("a COCO json", lambda path: _kind(path) == "coco", lambda path, order: read_coco(path)),
    Format("SoCo's json", lambda path: _kind(path) == "soco", lambda path, order: read_soco(path)),
]


def read_proposals(path: Path | str, order: Given = None) -> ProposalStore:
    """Open proposals of any kind that is known; the kind is told by the content, not by the name.

    Args:
        path: of one of :data:`FORMATS`. A store is mapped, everything else is read into memory.
        order: COCO json whose images a file without names follows: lists of mmdet 2.x, results, detectron2.

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


def _kind(path: Path) -> str:
    """Which json a file is by its first telling key: coco, sam, soco; empty for none of them."""
    try:
        for key, value in stream_object(path):
            if key == "image" and isinstance(value, dict):
                return "sam"
            if key in _COCO_KEYS:
                return "coco"
            if isinstance(value, list):
                return "soco"
    except UnicodeDecodeError:
        return ""
    return ""


def _kinds() -> str:
    *others, last = dict.fromkeys(kind.kind for kind in FORMATS)
    return f"{', '.join(others)}, or {last}"


__all__ = ["FORMATS", "Format", "is_store", "read_coco", "read_proposals", "read_soco"]
