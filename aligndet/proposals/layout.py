"""What lies in a proposal store: a folder with one ``.npy`` file per column and a small ``store.json``.

==================  ==========  ==========  ==============================================================
column              type        shape       meaning
==================  ==========  ==========  ==============================================================
``boxes``           float32     (B, 4)      xyxy in pixels of the image as read (after EXIF rotation)
``scores``          float32     (B,)        optional; higher is better, nan where a box has none
``levels``          int16       (B,)        optional; place in the search's hierarchy, -1 where unknown
``clusters``        int32       (B,)        optional; pseudo-class, -1 where a box has none
``offsets``         int64       (N + 1,)    rows of image i are ``offsets[i]:offsets[i + 1]``, best box first
``image_ids``       int64       (N,)        COCO ids
``sizes``           int32       (N, 2)      width, height in pixels
``names``           uint8       (bytes,)    file names relative to the image folder, one after the other
``name_offsets``    int64       (N + 1,)    bytes of name i are ``name_offsets[i]:name_offsets[i + 1]``
``stamps``          uint64      (N,)        optional; hash of the image file's bytes, 0 where unknown
``name_hashes``     uint64      (N,)        sorted hashes of the names, for finding an image by its name
``name_rows``       int64       (N,)        the image that each of ``name_hashes`` belongs to
==================  ==========  ==========  ==============================================================

B boxes, N images. ``store.json`` holds format, version, numbers, info (how the boxes were made), the sha256
of every file, and a seal over itself; ``skipped.jsonl`` has a line ``{"file_name": ..., "reason": ...}``
for each image left out. ``blocks.npy`` (uint32) has the CRC-32 of each 16 KiB of the other files, in the
order of ``store.json``: it tells which images a damage touches. Every file but the json ones is read by
``numpy.load(..., mmap_mode="r")`` and by nothing of this project.

The version is raised when an older reader would misread a store; files and keys that it may pass over are
added without. A reader refuses versions above its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

FORMAT, VERSION = "aligndet-proposals", 1
META, SKIPPED, BLOCKS = "store.json", "skipped.jsonl", "blocks.npy"
BLOCK = 1 << 14  # bytes that one number of blocks.npy stands for: boxes of ten images, as they are mostly


@dataclass(frozen=True)
class Column:
    """Type, shape of one row, and, for an optional column, the value of a row that has none.

    Attributes:
        per: what the column has a row for: each box, each image, the end of each image (and a 0 before them),
            or each byte of the names.
    """

    dtype: str
    per: str
    row: tuple[int, ...] = ()
    fill: float | None = None

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(self.dtype[-1]) * math.prod(self.row)


COLUMNS = {
    "boxes": Column("<f4", "box", (4,)),
    "scores": Column("<f4", "box", fill=float("nan")),
    "levels": Column("<i2", "box", fill=-1),
    "clusters": Column("<i4", "box", fill=-1),
    "offsets": Column("<i8", "end"),
    "image_ids": Column("<i8", "image"),
    "sizes": Column("<i4", "image", (2,)),
    "names": Column("u1", "byte"),
    "name_offsets": Column("<i8", "end"),
    "stamps": Column("<u8", "image", fill=0),
    "name_hashes": Column("<u8", "image"),
    "name_rows": Column("<i8", "image"),
}
#: Columns with a row for each box that a store may lack.
OPTIONAL = tuple(name for name, column in COLUMNS.items() if column.fill is not None and column.per == "box")
