"""The boxes of a label file and the images they lie on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.images import UnreadableImageError, read_image
from aligndet.common.labels.reader import read_labels


@dataclass(frozen=True)
class LabelledBoxes:
    """Holds annotations as a COCO json has them, file names by image id, and class names by category id."""

    boxes: list[dict[str, Any]]
    files: dict[Any, str]
    names: dict[int, str]


def read_boxes(
    ann_file: Path,
    usable: Callable[[dict[str, Any]], bool],
    limit: int | None = None,
    seed: int = 0,
    proposals: bool = False,
) -> LabelledBoxes:
    """Read the usable boxes of labels.

    Args:
        ann_file: labels or proposals.
        usable: which annotations count.
        limit: at most this many, drawn at random; their order stays.
        seed: of the draw.
        proposals: boxes are those of a search; see :func:`aligndet.common.labels.reader.read_labels`.

    Raises:
        InputError: labels that cannot be read.
    """
    labels = read_labels(ann_file, proposals=proposals)
    files = dict(zip(labels.image_ids.tolist(), labels.names, strict=True))
    names = dict(zip(labels.category_ids, labels.classes, strict=True))
    every = map(labels.annotation, range(len(labels.rows)))
    boxes = [box for box in every if usable(box)]
    chosen = np.sort(np.random.default_rng(seed).permutation(len(boxes))[:limit])
    return LabelledBoxes([boxes[int(number)] for number in chosen], files, names)


def with_pixels(
    boxes: Iterable[dict[str, Any]], files: dict[Any, str], images: Path
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Yield each box with its image (h, w, 3) uint8 BGR, and pass over boxes of unreadable images.

    An image is read once for all boxes of it that stand side by side.
    """
    last, pixels = None, None
    for box in boxes:
        if box["image_id"] != last:
            last = box["image_id"]
            try:
                pixels = read_image(images / files[last])
            except UnreadableImageError:
                pixels = None
        if pixels is not None:
            yield box, pixels
