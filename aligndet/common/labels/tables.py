"""Images, boxes and classes as they stand in a file, before anything is mended."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.labels.ids import Key
from aligndet.common.labels.report import Notes

MISSING = -1  # of flags and sizes


@dataclass
class Tables:
    """Collects the entries of a label file, in order.

    Attributes:
        names, image_keys, image_places: file name, id and entry of each image. sizes: width and height.
        categories: id and name of each class.
        images_of, categories_of: ids that boxes name, and the number that stands for each in the columns.
        notes: what was mended on reading.
        head: other values of the file.
        folder: that file names are relative to, where the labels tell.
        files: where labels are many files: the number of the first box of each, and its name.
    """

    names: list[str] = field(default_factory=list)
    image_keys: list[Key] = field(default_factory=list)
    image_places: array[int] = field(default_factory=lambda: array("i"))
    sizes: array[int] = field(default_factory=lambda: array("i"))
    categories: list[tuple[Key, str]] = field(default_factory=list)
    images_of: dict[Key, int] = field(default_factory=dict)
    categories_of: dict[Key | None, int] = field(default_factory=dict)
    notes: Notes = field(default_factory=Notes)
    head: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    files: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.box_images, self.box_categories = array("i"), array("i")
        self.xywh, self.areas, self.scores = array("d"), array("d"), array("f")
        self.crowd, self.ignore = array("b"), array("b")
        self.box_ids, self.box_places = array("q"), array("i")

    def add_image(self, key: Key, name: str, width: int, height: int, place: int) -> None:
        """One more image; -1 where a side is not known."""
        self.image_keys.append(key)
        self.names.append(name)
        self.sizes.extend((width, height))
        self.image_places.append(place)

    def add_box(
        self,
        image: Key,
        category: Key | None,
        xywh: tuple[float, ...],
        place: int,
        box_id: int = 0,
        area: float = float("nan"),
        crowd: int = MISSING,
        ignore: int = 0,
        score: float = float("nan"),
    ) -> None:
        """One more box, in pixels; ``box_id`` 0 where it has none, nan and -1 for what is not there."""
        self.box_images.append(self.images_of.setdefault(image, len(self.images_of)))
        self.box_categories.append(self.categories_of.setdefault(category, len(self.categories_of)))
        self.xywh.extend(xywh)
        self.areas.append(area)
        self.scores.append(score)
        self.crowd.append(crowd)
        self.ignore.append(ignore)
        self.box_ids.append(box_id)
        self.box_places.append(place)

    def where(self, place: int) -> str:
        """How a box is named: its place in the list, or its file."""
        if not self.files:
            return f"annotations[{place}]"
        return self.files[bisect_right(self.files, place, key=lambda file: file[0]) - 1][1]

    def columns(self) -> dict[str, np.ndarray]:
        """The boxes' columns as arrays: ``xywh`` (B, 4), each other (B,)."""
        names = (
            "box_images",
            "box_categories",
            "areas",
            "scores",
            "crowd",
            "ignore",
            "box_ids",
            "box_places",
        )
        columns = {name: _array(getattr(self, name)) for name in names}
        columns["xywh"] = _array(self.xywh).reshape(-1, 4)
        return columns


def _array(values: array[Any]) -> np.ndarray:
    """A view, no copy."""
    return np.frombuffer(values, values.typecode) if len(values) else np.zeros(0, values.typecode)
