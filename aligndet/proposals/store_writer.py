"""Writing a proposal store, image by image: memory does not grow with the boxes, the store appears whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from glob import escape
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.files import content_hash, sync
from aligndet.common.image_table import encode_name, name_hash
from aligndet.proposals.blocks import write_blocks
from aligndet.proposals.column_file import ColumnFile
from aligndet.proposals.layout import BLOCKS, COLUMNS, FORMAT, META, OPTIONAL, SKIPPED, VERSION
from aligndet.proposals.sense import no_boxes
from aligndet.proposals.store import ProposalStore
from aligndet.proposals.store_meta import write_meta

Array = np.ndarray


class StoreWriter:
    """Streams images into ``OUT`` and renames it into place when all is written.

    The bytes written depend on what is appended and on nothing else (no times, no machine). Used as a context
    manager: leaving it normally finishes the store, leaving it by an error removes what was written. In
    memory it keeps 16 bytes per image.

    Args:
        out: the folder to write; a store already there is replaced at the end.
        info: put into ``store.json``.
    """

    def __init__(self, out: Path, info: Mapping[str, Any] | None = None) -> None:
        check_out(out)
        self.out, self.info = out, dict(info or {})
        self.folder = out.with_name(f"{out.name}.{os.getpid()}.tmp")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._columns = {name: ColumnFile(self.folder / f"{name}.npy", name) for name in COLUMNS}
        self._skipped: IO[str] = (self.folder / SKIPPED).open("w", encoding="utf-8")
        self._hashes: list[Array] = []
        self._pending: list[int] = []
        self.images = self.boxes = self.skips = self._name_bytes = 0
        for name in ("offsets", "name_offsets"):
            self._columns[name].write(np.zeros(1, np.int64))

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.abandon()

    def append(
        self,
        file_name: str,
        image_id: int,
        size: tuple[int, int],
        boxes: Array,
        stamp: int = 0,
        **optional: Array | None,
    ) -> None:
        """Add the next image.

        Args:
            file_name: relative to the image folder, forward slashes.
            image_id: COCO id.
            size: width and height in pixels.
            boxes: (n, 4) xyxy in pixels, best first.
            stamp: of the image's file, see :func:`aligndet.common.images.stamp_of`; 0 where it is not known.
            optional: (n,) ``scores``, ``levels``, ``clusters``; None or absent where there are none.
        """
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        for name, values in optional.items():
            if values is not None and len(values) != len(boxes):
                raise ValueError(f"{file_name}: {len(boxes)} boxes but {len(values)} {name}")
        if no_boxes(boxes).any():
            raise ValueError(f"{file_name}: boxes that are not finite, or whose corners are out of order")
        for name in OPTIONAL:
            self._append_optional(name, optional.get(name), len(boxes))
        self._append_stamp(stamp)
        encoded = encode_name(file_name)
        self.boxes += len(boxes)
        self.images += 1
        self._name_bytes += len(encoded)
        for name, row in (
            ("boxes", boxes),
            ("offsets", [self.boxes]),
            ("image_ids", [image_id]),
            ("sizes", [size]),
            ("names", np.frombuffer(encoded, np.uint8)),
            ("name_offsets", [self._name_bytes]),
        ):
            self._columns[name].write(np.asarray(row))
        self._remember(name_hash(encoded))

    def skip(self, file_name: str, reason: str) -> None:
        """Note an image that has no place in the store, and why."""
        self.skips += 1
        self._skipped.write(json.dumps({"file_name": file_name, "reason": reason}) + "\n")

    def extend(self, store: ProposalStore, first_id: int | None = None) -> None:
        """Add all images of another store; with ``first_id`` they get new ids, counted from it."""
        for image in range(len(store)):
            number = int(store.image_ids[image]) if first_id is None else first_id + image
            optional = {name: store.column(name, image) for name in OPTIONAL}
            name, size = store.file_name(image), store.size(image)
            self.append(name, number, size, store.boxes(image), store.stamp(image), **optional)
        for row in store.skipped():
            self.skip(row["file_name"], row["reason"])

    def finish(self) -> None:
        """Write the index and ``store.json``, then put the folder into its place."""
        try:
            self._write_index()
            lengths = {name: column.close() for name, column in self._columns.items()}
            self._skipped.close()
            sync(self.folder / SKIPPED)
            self._write_meta({name: length for name, length in lengths.items() if length is not None})
            into_place(self.folder, self.out)
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Remove what was written."""
        closes = [*(column.close for column in self._columns.values()), self._skipped.close]
        for close in closes:
            with suppress(OSError):  # a full disk has no place for what is still held back either
                close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _append_optional(self, name: str, values: Array | None, count: int) -> None:
        column = self._columns[name]
        if values is not None and len(values) and not column.begun:
            column.fill(self.boxes)  # images before this one had none
        if column.begun:
            column.fill(count) if values is None else column.write(np.asarray(values))

    def _append_stamp(self, stamp: int) -> None:
        column = self._columns["stamps"]
        if stamp and not column.begun:
            column.fill(self.images)  # images before this one had none
        if column.begun:
            column.write(np.array([stamp], np.uint64))

    def _remember(self, number: int) -> None:
        self._pending.append(number)
        if len(self._pending) == 4096:
            self._flush_hashes()

    def _flush_hashes(self) -> None:
        self._hashes.append(np.asarray(self._pending, np.uint64))
        self._pending = []

    def _write_index(self) -> None:
        self._flush_hashes()
        hashes = np.concatenate(self._hashes)
        rows = np.argsort(hashes, kind="stable")
        self._columns["name_hashes"].write(hashes[rows])
        self._columns["name_rows"].write(rows)

    def _write_meta(self, lengths: Mapping[str, int]) -> None:
        files = [*(f"{name}.npy" for name in lengths), SKIPPED]
        write_blocks(self.folder, files)
        files.append(BLOCKS)
        meta = {
            "format": FORMAT,
            "version": VERSION,
            "images": self.images,
            "boxes": self.boxes,
            "skipped": self.skips,
            "columns": lengths,
            "info": self.info,
            "bytes": {name: (self.folder / name).stat().st_size for name in files},
            "sha256": {name: content_hash(self.folder / name) for name in files},
        }
        write_meta(self.folder, json.loads(json.dumps(meta)))


def check_out(out: Path) -> None:
    """A store may be written to `out`: nothing is there, or an older store.

    Raises:
        InputError: something else is there.
    """
    if (out / "boxes.npy").is_file() and not (out / META).is_file():
        raise InputError(
            f"{out}: a proposal store that lost its {META}; delete the folder, and write it again"
        )
    if out.exists() and not (out / META).is_file():
        raise InputError(f"{out}: exists and is no proposal store; choose another name")


def into_place(folder: Path, out: Path) -> None:
    """Rename a store; one that was there is moved aside and then removed (open maps of it stay valid).

    When this returns the store is on the disk, so that what it was made from may go. What a killed process
    left aside is removed, too.
    """
    if out.exists():
        os.replace(out, out.with_name(f"{out.name}.{os.getpid()}.old"))
    os.replace(folder, out)
    sync(out.parent)
    for old in out.parent.glob(f"{escape(out.name)}.*.old"):
        shutil.rmtree(old, ignore_errors=True)
