"""Which bytes of a store's files are as they were written, by a checksum of each 16 KiB."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.files import content_hash, replacing
from aligndet.proposals.layout import BLOCK, BLOCKS, COLUMNS

Array = np.ndarray


def block_sums(file: Path) -> list[int]:
    """CRC-32 of each block of a file."""
    with file.open("rb") as stream:
        return [zlib.crc32(block) for block in iter(lambda: stream.read(BLOCK), b"")]


def write_blocks(folder: Path, files: Iterable[str]) -> None:
    """Write ``blocks.npy`` of the files, one after the other."""
    sums = [crc for name in files for crc in block_sums(folder / name)]
    with replacing(folder / BLOCKS) as stream:
        np.save(stream, np.array(sums, np.uint32))


def file_fault(file: Path, sha256: str) -> str:
    """What is wrong with a file of a store, in words; empty where it is as it was written."""
    try:
        return "" if content_hash(file) == sha256 else "changed since it was written"
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"not readable ({error.strerror})"


class DamagedFiles:
    """The files of a store of which some are damaged: what can be read of them, and which rows are sound.

    Args:
        path: the store.
        meta: its ``store.json``, which is whole.
        names: the damaged files.
    """

    def __init__(self, path: Path, meta: Mapping[str, Any], names: Iterable[str]) -> None:
        self.path, self.meta, self.names = path, meta, frozenset(names)
        self._counted: dict[str, Array] = {}

    def bad_blocks(self, name: str) -> Array:
        """(blocks,) bool of a damaged file; all of them where nothing tells them apart."""
        bad = np.ones(-(-self.meta["bytes"][name] // BLOCK), bool)
        known = self._known.get(name, np.zeros(0, np.uint32))
        try:
            found = np.array(block_sums(self.path / name), np.uint32)
        except OSError:
            return bad
        both = min(len(found), len(known))
        bad[:both] = known[:both] != found[:both]
        return bad

    def sound(self, column: str, first: Array, last: Array) -> Array:
        """(n,) whether the rows ``first[i]:last[i]`` of a column are as they were written."""
        if f"{column}.npy" not in self.names:
            return np.ones(len(first), bool)
        if "bytes" not in self.meta:
            return np.zeros(len(first), bool)
        if column not in self._counted:
            bad = self.bad_blocks(f"{column}.npy")
            self._counted[column] = np.concatenate([[0], np.cumsum(bad)])
        head, width, counted = self._head(column), COLUMNS[column].row_bytes, self._counted[column]
        begin, end = (head + first * width) // BLOCK, -(-(head + last * width) // BLOCK)
        return (first >= last) | (counted[end] == counted[np.minimum(begin, end)])

    def rows(self, column: str, first: int, last: int) -> Array:
        """Rows of a column whatever its header says; zeros where the file is too short."""
        spec, file = COLUMNS[column], self.path / f"{column}.npy"
        wanted = (last - first) * spec.row_bytes
        try:
            with file.open("rb") as stream:
                stream.seek(self._head(column) + first * spec.row_bytes)
                data = stream.read(wanted)
        except OSError:
            data = b""
        return np.frombuffer(data.ljust(wanted, b"\0"), spec.dtype).reshape(-1, *spec.row)

    def _head(self, column: str) -> int:
        """Bytes before the first row."""
        name = f"{column}.npy"
        size = self.meta.get("bytes", {}).get(name)
        if size is None:
            size = (self.path / name).stat().st_size
        return max(0, size - self.meta["columns"][column] * COLUMNS[column].row_bytes)

    @cached_property
    def _known(self) -> dict[str, Array]:
        """The sums that were written, by file; empty where they are damaged, too, or a store has none."""
        hashes, sizes = self.meta["sha256"], self.meta["bytes"]
        if BLOCKS not in hashes or BLOCKS in self.names:
            return {}
        counts = {name: -(-sizes[name] // BLOCK) for name in hashes if name != BLOCKS}
        every = np.load(self.path / BLOCKS, allow_pickle=False)
        if every.shape != (sum(counts.values()),):
            return {}
        pieces = np.split(every, np.cumsum(list(counts.values()))[:-1])
        return dict(zip(counts, pieces, strict=True))
