"""Proposal files of this and other projects, all read into a :class:`..store.ProposalStore`."""

from __future__ import annotations

from pathlib import Path

from aligndet.common.errors import InputError
from aligndet.common.json_stream import stream_object
from aligndet.proposals.formats.coco import read_coco
from aligndet.proposals.formats.mmdet_pickle import read_mmdet_pickle
from aligndet.proposals.formats.soco import read_soco
from aligndet.proposals.store import ProposalStore, is_store

KINDS = "a proposal store (folder), a COCO json, SoCo's json, or a proposal pickle of mmdet"
_COCO_KEYS = frozenset({"images", "annotations", "categories"})


def read_proposals(path: Path | str, order: Path | str | None = None) -> ProposalStore:
    """Open proposals of any kind that is known; the kind is told by the content, not by the name.

    Args:
        path: see :data:`KINDS`. A store is mapped, everything else is read into memory.
        order: COCO json whose images a list of mmdet 2.x follows; only such a list needs it.

    Raises:
        InputError: no such file.
        InputError: none of the kinds.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; expected {KINDS}")
    if path.is_dir():
        return ProposalStore.open(path)
    if path.suffix in (".pkl", ".pickle"):
        return read_mmdet_pickle(path, _names(order))
    return read_coco(path) if _is_coco(path) else read_soco(path)


def _is_coco(path: Path) -> bool:
    try:
        for key, value in stream_object(path):
            if key in _COCO_KEYS:
                return True
            if isinstance(value, list):
                return False
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file; expected {KINDS}") from error
    raise InputError(f"{path}: no list of images or boxes in it; expected {KINDS}")


def _names(order: Path | str | None) -> list[str] | None:
    if order is None:
        return None
    return [str(value["file_name"]) for key, value in stream_object(Path(order)) if key == "images"]


__all__ = ["KINDS", "is_store", "read_coco", "read_mmdet_pickle", "read_proposals", "read_soco"]
