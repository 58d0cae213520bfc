"""Whether a proposal store is as it was written, and which of its images a damage touches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.image_table import decode_name
from aligndet.proposals.blocks import DamagedFiles, file_fault
from aligndet.proposals.layout import COLUMNS

Array = np.ndarray
SHOWN = 5  # damaged images named in a line
DERIVED = ("name_hashes", "name_rows")  # follow from the names


@dataclass(frozen=True)
class StoreDamage:
    """What of a store is not as it was written.

    Attributes:
        path: the store.
        files: what is wrong with each damaged file.
        images: how many images a damage touches. total: images of the store.
        names: the first of these images.
        advice: the command that mends it.
    """

    path: Path
    files: dict[str, str]
    images: int
    total: int
    names: tuple[str, ...]
    advice: str

    def __str__(self) -> str:
        return f"{self.summary()}. {self.advice}"

    def summary(self) -> str:
        """What is damaged, in one line."""
        files = ", ".join(f"{name} ({fault})" for name, fault in self.files.items())
        touched = f"; it touches {self.images} of {self.total} images" if self.images else ""
        more = ", ..." if self.images > len(self.names) else ""
        named = f" ({', '.join(self.names)}{more})" if self.names else ""
        return f"{self.path}: damaged: {files}{touched}{named}"


class DamagedStoreError(InputError):
    """Refuses a store that is not as it was written.

    Attributes:
        damage: what is wrong.
    """

    def __init__(self, damage: StoreDamage) -> None:
        super().__init__(str(damage))
        self.damage = damage


def find_damage(path: Path, meta: Mapping[str, Any]) -> StoreDamage | None:
    """Read every file of a store and compare with the hashes in ``store.json``; None where all is well."""
    faults = {name: file_fault(path / name, sha256) for name, sha256 in meta["sha256"].items()}
    faults = {name: fault for name, fault in faults.items() if fault}
    if not faults:
        return None
    files = DamagedFiles(path, meta, faults)
    touched = np.flatnonzero(~sound_images(files))
    names = tuple(_name(files, int(image)) for image in touched[:SHOWN])
    return StoreDamage(path, faults, len(touched), meta["images"], names, _advice(meta["info"]))


def sound_images(files: DamagedFiles) -> Array:
    """(N,) whether all that a store says of an image is as it was written."""
    count, columns = files.meta["images"], files.meta["columns"]
    first, good = np.arange(count), np.ones(count, bool)
    rows_each = {"image": 1, "end": 2}
    for name in columns:
        each = rows_each.get(COLUMNS[name].per, 0)
        if each and name not in DERIVED:
            good &= files.sound(name, first, first + each)
    for ends, per in (("offsets", "box"), ("name_offsets", "byte")):
        rows = files.rows(ends, 0, count + 1)
        for name, length in columns.items():
            if COLUMNS[name].per == per:
                begin, end = (side.clip(0, length) for side in (rows[:-1], rows[1:]))
                good &= files.sound(name, begin, np.maximum(begin, end))
    return good


def _name(files: DamagedFiles, image: int) -> str:
    """Name of an image, or its number where the name is damaged, too."""
    place = np.array([image])
    if files.sound("name_offsets", place, place + 2).all():
        ends = files.rows("name_offsets", image, image + 2)
        if files.sound("names", ends[:1], ends[1:]).all():
            return decode_name(files.rows("names", int(ends[0]), int(ends[1])).tobytes())
    return f"image {image}"


def _advice(info: Mapping[str, Any]) -> str:
    """The command that mends a store, by how it was made."""
    if "clusters" in info:
        return "Write it again: aligndet proposals cluster"
    if info.get("backend") in (None, "file"):
        return "Write it again: aligndet proposals convert"
    return "The aligndet proposals make that wrote it, given again, searches these images again and no others"
