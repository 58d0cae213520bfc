"""What a person should know about the images of a run, in a line for each kind of thing."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Sequence

import numpy as np

from aligndet.common.image_table import ImageEntry
from aligndet.proposals.result import ImageProposals

_NUMBERS = re.compile(r"\d[\d.e+x]*")


class Notes:
    """Counts notes by kind, and copies by the hashes of their files, while a store is written."""

    def __init__(self) -> None:
        self._kinds: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        self._stamps, self._numbers = array("Q"), array("q")

    def add(self, number: int, name: str, row: ImageProposals) -> None:
        """Take up one image; ``number`` is its place in the table."""
        if row.note:
            kind = _NUMBERS.sub("N", row.note)
            self._kinds[kind] += 1
            self._first.setdefault(kind, f"{name}: {row.note}")
        if row.stamp:
            self._stamps.append(row.stamp)
            self._numbers.append(number)

    def lines(self, images: Sequence[ImageEntry]) -> list[str]:
        """The kinds, most frequent first, each with its first image; copies last."""
        told = [_counted(count, self._first[kind]) for kind, count in self._kinds.most_common()]
        stamps = np.array(self._stamps, np.uint64)
        _, first, place = np.unique(stamps, return_index=True, return_inverse=True)
        copies = np.flatnonzero(first[place] != np.arange(len(stamps)))
        if len(copies):
            pair = copies[0], first[place[copies[0]]]
            copy, original = (images[self._numbers[int(number)]].file_name for number in pair)
            told.append(
                f"{len(copies)} images are copies of others, byte by byte, such as {copy} of {original}"
            )
        return told


def _counted(count: int, first: str) -> str:
    return first if count == 1 else f"{count} images such as {first}"
