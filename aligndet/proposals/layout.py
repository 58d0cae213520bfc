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

B boxes, N images. ``store.json`` holds format, version, numbers, info (how the boxes were made) and the
sha256 of every file; ``skipped.jsonl`` has one line ``{"file_name": ..., "reason": ...}`` per image left out.
Every file but the json ones is read by ``numpy.load(..., mmap_mode="r")`` and by nothing of this project.
"""

from __future__ import annotations

from dataclasses import dataclass

FORMAT, VERSION = "aligndet-proposals", 1
META, SKIPPED = "store.json", "skipped.jsonl"


@dataclass(frozen=True)
class Column:
    """Type, shape of one row, and, for an optional column, the value of a row that has none.

    Attributes:
        of_images: an optional column has a row for each image, not for each box.
    """

    dtype: str
    row: tuple[int, ...] = ()
    fill: float | None = None
    of_images: bool = False


COLUMNS = {
    "boxes": Column("<f4", (4,)),
    "scores": Column("<f4", fill=float("nan")),
    "levels": Column("<i2", fill=-1),
    "clusters": Column("<i4", fill=-1),
    "offsets": Column("<i8"),
    "image_ids": Column("<i8"),
    "sizes": Column("<i4", (2,)),
    "names": Column("u1"),
    "name_offsets": Column("<i8"),
    "stamps": Column("<u8", fill=0, of_images=True),
    "name_hashes": Column("<u8"),
    "name_rows": Column("<i8"),
}
#: Columns with a row for each box that a store may lack.
OPTIONAL = tuple(name for name, column in COLUMNS.items() if column.fill is not None and not column.of_images)
