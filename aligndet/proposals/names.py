"""Which image of a proposal file an image on disk is: files of other projects name them in other ways."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import PurePosixPath

import numpy as np

from aligndet.common.errors import InputError
from aligndet.proposals.store import ProposalStore


def find_row(store: ProposalStore, name: str) -> int:
    """The row of an image, -1 where there is none.

    The name is looked for as it is (relative to the image folder), then without folders, then without folders
    and ending (SoCo), then with its last folder only (mmdet), then without ending (detectron2's ids).
    """
    place = PurePosixPath(name)
    names = [name, place.name, place.stem, f"{place.parent.name}/{place.name}", os.path.splitext(name)[0]]
    for known in dict.fromkeys(names):
        try:
            return store.find(known)
        except KeyError:
            continue
    return -1


def rows_of(store: ProposalStore, names: Iterable[str], file: object) -> np.ndarray:
    """(n,) int64 rows of images by their names, -1 where there is none.

    Args:
        store: the proposals. file: where they came from, for the error.
        names: relative to the folder of the images.

    Raises:
        InputError: two images are found under one name: nobody knows whose boxes these are.
    """
    rows: list[int] = []
    owners: dict[int, str] = {}
    for name in names:
        row = find_row(store, name)
        rows.append(row)
        if row < 0:
            continue
        if row in owners:
            raise InputError(
                f"{file}: its boxes of {store.file_name(row)!r} fit {owners[row]} and {name}; give the "
                "folder of one of them (--images), one after the other"
            )
        owners[row] = name
    return np.array(rows, np.int64)
