"""Reading proposals as columns: mapped from a store, or held in memory after reading another format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.files import content_hash
from aligndet.common.image_table import decode_name, encode_name, name_hash
from aligndet.proposals.layout import (
    COLUMNS,
    FORMAT,
    META,
    SKIPPED,
    VERSION,
)

Array = np.ndarray


class ProposalStore:
    """Proposals of N images; see :mod:`aligndet.proposals.layout` for the columns.

    Opened from a folder (:meth:`open`) it costs some milliseconds and next to no memory whatever its size:
    pages are read when their boxes are asked for, and every process of a machine shares them. Pickled (to a
    worker process), only the path travels.

    Args:
        columns: arrays by column name, optional ones absent or None.
        info: how the proposals were made; ``info["clusters"]["clusters"]`` is the number of pseudo-classes.
        path: the folder they are mapped from; None for arrays in memory.
        skipped: images left out and why, for arrays in memory (a folder has its own list).

    Attributes:
        offsets: (N + 1,) int64, see :mod:`.layout`.
        sizes: (N, 2) int32, width and height in pixels.
        image_ids: (N,) int64.
    """

    def __init__(
        self,
        columns: Mapping[str, Array | None],
        info: Mapping[str, Any] | None = None,
        path: Path | None = None,
        skipped: Sequence[Mapping[str, str]] = (),
    ) -> None:
        self.columns = {name: _frozen(array) for name, array in columns.items() if array is not None}
        self.info: dict[str, Any] = dict(info or {})
        self.path = path
        self.offsets, self.sizes = self.columns["offsets"], self.columns["sizes"]
        self.image_ids = self.columns["image_ids"]
        self._skipped = skipped

    @classmethod
    def open(cls, path: Path | str) -> ProposalStore:
        """Map the store in the folder ``path``.

        Raises:
            InputError: no such folder, or no store in it.
            InputError: a store of another version, or one whose files do not fit together.
        """
        path = Path(path)
        meta = read_meta(path)
        columns = {name: _map(path, name, meta) for name in COLUMNS if name in meta["columns"]}
        return cls(columns, meta["info"], path)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path is not None:
            return type(self).open, (self.path,)
        return type(self), (self.columns, self.info, None, self._skipped)

    def __deepcopy__(self, memo: dict[int, Any]) -> ProposalStore:
        return self  # nothing in it can be changed

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def num_boxes(self) -> int:
        """Boxes of all images."""
        return len(self.columns["boxes"])

    @property
    def num_clusters(self) -> int:
        """Pseudo-classes; 0 where the boxes were not clustered."""
        if "clusters" not in self.columns:
            return 0
        return int(self.info.get("clusters", {}).get("clusters", 0)) or int(self._max_cluster()) + 1

    @property
    def counts(self) -> Array:
        """(N,) int64 boxes of each image."""
        return np.diff(self.offsets)

    def boxes(self, image: int) -> Array:
        """(n, 4) float32 xyxy in pixels, best first: a read-only view, no copy."""
        return self.columns["boxes"][self._rows(image)]

    def column(self, name: str, image: int) -> Array | None:
        """(n,) ``scores``, ``levels`` or ``clusters`` of an image; None where the store has none."""
        return self.columns[name][self._rows(image)] if name in self.columns else None

    def file_name(self, image: int) -> str:
        """Name relative to the image folder, forward slashes."""
        return decode_name(self._name(image))

    def size(self, image: int) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height = self.sizes[image].tolist()
        return width, height

    def stamp(self, image: int) -> int:
        """Hash of an image's file when the boxes were made; 0 where it is not known."""
        return int(self.columns["stamps"][image]) if "stamps" in self.columns else 0

    def find(self, file_name: str) -> int:
        """The image of that name; the first, where several have it.

        Raises:
            KeyError: there is none.
        """
        name = encode_name(file_name)
        number = np.uint64(name_hash(name))
        hashes, rows = self.columns["name_hashes"], self.columns["name_rows"]
        place = int(np.searchsorted(hashes, number))
        while place < len(hashes) and hashes[place] == number:
            if self._name(rows[place]) == name:
                return int(rows[place])
            place += 1
        raise KeyError(f"{self.path or 'the proposals'}: no image is called {file_name}")

    def skipped(self) -> Iterator[dict[str, str]]:
        """``{"file_name", "reason"}`` of every image that was left out, one by one."""
        if self.path is None:
            yield from map(dict, self._skipped)
            return
        with (self.path / SKIPPED).open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)

    def verify(self) -> None:
        """Read every file of a mapped store and compare with the hashes in ``store.json``.

        Raises:
            InputError: names the file that changed.
        """
        assert self.path is not None
        for name, expected in read_meta(self.path)["sha256"].items():
            if content_hash(self.path / name) != expected:
                raise InputError(f"{self.path / name}: changed since the store was written; write it again")

    def _rows(self, image: int) -> slice:
        if not -len(self) <= image < len(self):
            raise IndexError(f"image {image} of {len(self)}")
        image %= len(self)
        return slice(int(self.offsets[image]), int(self.offsets[image + 1]))

    def _name(self, image: int) -> bytes:
        image = range(len(self))[image]
        first, last = self.columns["name_offsets"][image : image + 2].tolist()
        return self.columns["names"][first:last].tobytes()

    def _max_cluster(self) -> int:
        return int(self.columns["clusters"].max(initial=-1))


def _frozen(array: Array) -> Array:
    """A read-only view; not of class memmap, whose slices cost ten times as much."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def is_store(path: Path | str) -> bool:
    """Whether the folder ``path`` holds a proposal store."""
    return (Path(path) / META).is_file()


def read_meta(path: Path) -> dict[str, Any]:
    """``store.json`` of a store, checked.

    Raises:
        InputError: as :meth:`ProposalStore.open`.
    """
    if not (path / META).is_file():
        raise InputError(
            f"{path}: no proposal store there (no {META}). Make one with: aligndet proposals make IMAGES OUT"
        )
    try:
        meta = json.loads((path / META).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path / META}: not readable as json ({error}); make the store again") from error
    if meta.get("format") != FORMAT or meta.get("version") != VERSION:
        raise InputError(
            f"{path / META}: format {meta.get('format')!r}, version {meta.get('version')!r}; expected "
            f"{FORMAT!r}, version {VERSION}. Make the store again, or update aligndet"
        )
    return meta


def _map(path: Path, name: str, meta: Mapping[str, Any]) -> Array:
    """One column of a store, its type and length checked against ``store.json``."""
    file, column = path / f"{name}.npy", COLUMNS[name]
    try:
        empty = meta["columns"][name] == 0  # an empty file cannot be mapped
        array = np.load(file, mmap_mode=None if empty else "r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: a column of the store cannot be read ({error}); write it again") from error
    expected = (meta["columns"][name], *column.row)
    if array.dtype != np.dtype(column.dtype) or array.shape != expected:
        raise InputError(
            f"{file}: holds {array.dtype} {array.shape}, {META} says {column.dtype} {expected}; "
            "the files do not belong together, write the store again"
        )
    return array
