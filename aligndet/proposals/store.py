"""Reading proposals as columns: mapped from a store, or held in memory after reading another format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.image_table import decode_name, encode_name, name_hash
from aligndet.proposals.first_use import checked_once, forget
from aligndet.proposals.integrity import DamagedStoreError, find_damage
from aligndet.proposals.layout import META, SKIPPED
from aligndet.proposals.mapping import map_columns, read_skipped
from aligndet.proposals.sense import refuse_senseless, wrong_names
from aligndet.proposals.store_meta import AGAIN, is_store, read_meta, usable_info

Array = np.ndarray


class ProposalStore:
    """Proposals of N images; see :mod:`aligndet.proposals.layout` for the columns.

    Opened from a folder (:meth:`open`) it costs next to no memory whatever its size, and some milliseconds;
    the first time all is read and compared with its hashes (:mod:`.first_use`). Pages are read when their
    boxes are asked for, and every process of a machine shares them. Pickled (to a worker process), only the
    path travels, and that it was checked.

    Args:
        columns: arrays by column name, optional ones absent or None.
        info: how the proposals were made; ``info["clusters"]["clusters"]`` is the number of pseudo-classes.
        path: the folder they are mapped from; None for arrays in memory.
        skipped: images left out and why, for arrays in memory (a folder has its own list).
        identity: of the folder's files when they were checked, see :func:`.first_use.checked_once`.

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
        identity: str = "",
    ) -> None:
        self.columns = {name: _frozen(array) for name, array in columns.items() if array is not None}
        self.info = usable_info(info or {})
        self.path = path
        self.offsets, self.sizes = self.columns["offsets"], self.columns["sizes"]
        self.image_ids = self.columns["image_ids"]
        self._skipped, self._identity = skipped, identity

    @classmethod
    def open(cls, path: Path | str, known: str = "") -> ProposalStore:
        """Map the store in the folder ``path``, and check it where that was not done before.

        Args:
            path: the folder. known: see :func:`.first_use.checked_once`.

        Raises:
            InputError: no such folder, or no store in it; one of another version, or that makes no sense.
            DamagedStoreError: a file is not as it was written; names it, and the images that it touches.
        """
        path = Path(path)
        meta = read_meta(path)
        identity = checked_once(path, meta, lambda: _check(path, meta), known)
        return cls(map_columns(path, meta), meta["info"], path, identity=identity)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path is not None:
            return type(self).open, (self.path, self._identity)
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
        return _clusters(self.info) or int(self._max_cluster()) + 1

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
        yield from read_skipped(self.path)

    def verify(self) -> None:
        """Read every file of a mapped store, done before or not, and check all that can be checked.

        Raises:
            DamagedStoreError: a file is not as it was written.
            InputError: a store that makes no sense; names that are not found by their hashes.
        """
        assert self.path is not None
        verify_store(self.path)

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


def verify_store(path: Path) -> None:
    """Check a store in full; see :meth:`ProposalStore.verify`."""
    forget(path)
    meta = read_meta(path)
    _check(path, meta)
    columns = map_columns(path, meta)
    if wrong := wrong_names(columns):
        raise InputError(f"{path}/name_hashes.npy: {wrong} names have another hash; {AGAIN}")
    lines = sum(1 for _ in read_skipped(path))
    if lines != meta["skipped"]:
        raise InputError(f"{path / SKIPPED}: {lines} lines, {META} says {meta['skipped']}; {AGAIN}")


def _check(path: Path, meta: Mapping[str, Any]) -> None:
    """Refuse a store that is damaged or makes no sense."""
    if damage := find_damage(path, meta):
        raise DamagedStoreError(damage)
    refuse_senseless(path, map_columns(path, meta), _clusters(usable_info(meta["info"])))


def _clusters(info: Mapping[str, Any]) -> int:
    """Pseudo-classes that a store says it has; 0 where it does not say."""
    return int(info.get("clusters", {}).get("clusters", 0))


__all__ = ["ProposalStore", "is_store", "verify_store"]
