"""Boxes that were made elsewhere: by SAM, EdgeBoxes, another detector, SoCo or the official AlignDet."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from aligndet.common.errors import InputError
from aligndet.proposals.backends.registry import Backend
from aligndet.proposals.formats import read_proposals
from aligndet.proposals.store import ProposalStore


def file_backend(path: str = "", order: str = "") -> Backend:
    """Proposals of a file, found by the image's name.

    The name is looked for as it is (relative to the image folder), then without folders, then without folders
    and ending (SoCo), then with its last folder only (mmdet). Boxes are in pixels of the image on disk.

    A json or pickle is read into memory by every worker process; convert a large one to a store first
    (``aligndet proposals convert``), which all processes share.

    Args:
        path: a proposal store, COCO json (also the official AlignDet `filtered_proposals`), SoCo json, or
            mmdet proposal pickle.
        order: COCO json whose images an mmdet 2.x pickle follows; nothing else needs it.

    Raises:
        InputError: no such file, or none of these kinds.
    """
    if not path:
        raise InputError("backend file: say which, with --backend-options path=FILE")
    if not Path(path).exists():
        raise InputError(f"backend file: there is no {path}")
    stat = Path(path).stat()
    store = _read(path, order, stat.st_mtime_ns)

    def search(image: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        row = _find(store, name, path)
        return store.boxes(row), store.column("scores", row), store.column("levels", row)

    search.takes_name = search.whole_size = True  # type: ignore[attr-defined]
    search.identity = f"{stat.st_size} {stat.st_mtime_ns}"  # type: ignore[attr-defined]
    return search


@lru_cache(maxsize=1)
def _read(path: str, order: str, time: int) -> ProposalStore:
    """Once per process and version of the file, not once per chunk of images."""
    return read_proposals(path, order or None)


def _find(store: ProposalStore, name: str, path: str) -> int:
    place = PurePosixPath(name)
    names = [name, place.name, place.stem, f"{place.parent.name}/{place.name}", os.path.splitext(name)[0]]
    for known in dict.fromkeys(names):
        try:
            return store.find(known)
        except KeyError:
            continue
    raise LookupError(f"{path} has no boxes for {name}; it names its images like {store.file_name(0)}")
