"""Putting stores that were made apart into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .store import ProposalStore
from .store_writer import StoreWriter


def merge_stores(parts: Sequence[Path], out: Path, info: Mapping[str, Any] | None = None) -> ProposalStore:
    """One store of all images of the parts, in the order given; ids are numbered anew where they clash.

    Raises:
        FileNotFoundError, ValueError: a part is no store, or two parts hold an image of the same name.
    """
    stores = [ProposalStore.open(part) for part in parts]
    if not stores:
        raise ValueError("nothing to merge: no store given")
    _refuse_equal_names(stores)
    every = np.concatenate([store.image_ids for store in stores])
    clash, first = len(np.unique(every)) != len(every), 1
    with StoreWriter(out, info or stores[0].info) as writer:
        for store in stores:
            writer.extend(store, first if clash else None)
            first += len(store)
    return ProposalStore.open(out)


def _refuse_equal_names(stores: Sequence[ProposalStore]) -> None:
    """Within a store names may repeat; an image in two stores means that a shard was given twice."""
    hashes = np.concatenate([np.unique(store.columns["name_hashes"]) for store in stores])
    numbers, counts = np.unique(hashes, return_counts=True)
    for number in numbers[counts > 1]:
        seen: dict[str, Path | None] = {}
        for store in stores:
            rows = store.columns["name_rows"][store.columns["name_hashes"] == number]
            for name in {store.file_name(int(row)) for row in rows}:
                if name in seen:
                    raise ValueError(
                        f"image {name} is in {seen[name]} and in {store.path}; merge each part once"
                    )
                seen[name] = store.path
