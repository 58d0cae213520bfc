"""A list of images that stays small: millions of names as bytes, not as Python objects."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


def name_hash(name: bytes) -> int:
    """The hash of a file name, from 0 to 2**64 - 1, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")


def encode_name(name: str) -> bytes:
    """File names are bytes on disk: what is not UTF-8 comes through unharmed."""
    return os.fsencode(name)


def decode_name(name: bytes) -> str:
    """The inverse of :func:`encode_name`."""
    return os.fsdecode(name)


@dataclass(frozen=True)
class ImageEntry:
    """One image: its COCO id, and its file name relative to the image root (forward slashes)."""

    id: int
    file_name: str


class ImageTable(Sequence[ImageEntry]):
    """Names, ids and sizes of images: about 30 bytes each and the bytes of the name.

    Attributes:
        skipped: ``{"file_name", "reason"}`` of what was seen but is not in the table.
        others: images of kinds that are not listed, counted by ending.
    """

    def __init__(self) -> None:
        self._names, self._ends, self._hashes = bytearray(), array("q", [0]), array("Q")
        self.ids, self._sizes = array("q"), array("i")
        self.skipped: list[dict[str, str]] = []
        self.others: Counter[str] = Counter()

    def add(self, file_name: str, image_id: int, width: int = -1, height: int = -1) -> None:
        """One more image; -1 where the size is not known."""
        name = encode_name(file_name)
        self._names += name
        self._ends.append(len(self._names))
        self._hashes.append(name_hash(name))
        self.ids.append(image_id)
        self._sizes.extend((width, height))

    def skip(self, file_name: str, reason: str) -> None:
        """Note something that is left out."""
        self.skipped.append({"file_name": file_name, "reason": reason})

    def left_out(self) -> str:
        """A line on images of other kinds; empty where there are none."""
        if not self.others:
            return ""
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.others.items()))
        return (
            f"{self.others.total()} files of other kinds left out: {kinds}; convert them to .jpg or .png to "
            "use them"
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        number = range(len(self))[index]
        name = bytes(self._names[self._ends[number] : self._ends[number + 1]])
        return ImageEntry(self.ids[number], decode_name(name))

    def without_equal_names(self) -> ImageTable:
        """The table itself, or, where a name occurs twice, one without the repeats: they are skipped."""
        hashes = np.array(self._hashes, np.uint64)
        if len(np.unique(hashes)) == len(hashes):
            return self
        kept, seen = ImageTable(), dict[str, int]()
        kept.skipped, kept.others = self.skipped, self.others
        for entry in self:
            if entry.file_name in seen:
                reason = f"image {entry.id} has the same name as image {seen[entry.file_name]}"
                kept.skip(entry.file_name, reason)
            else:
                seen[entry.file_name] = entry.id
                kept.add(entry.file_name, entry.id)
        return kept

    def columns(self) -> dict[str, np.ndarray]:
        """As in :mod:`aligndet.proposals.layout`."""
        hashes = np.array(self._hashes, np.uint64)
        rows = np.argsort(hashes, kind="stable")
        return {
            "image_ids": np.array(self.ids, np.int64),
            "sizes": np.array(self._sizes, np.int32).reshape(-1, 2),
            "names": np.frombuffer(bytes(self._names), np.uint8),
            "name_offsets": np.array(self._ends, np.int64),
            "name_hashes": hashes[rows],
            "name_rows": rows,
        }
