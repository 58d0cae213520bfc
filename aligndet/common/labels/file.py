"""Labels in memory: plain columns, whatever kind of file they came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.labels.report import LabelReport

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class LabelFile:
    """Images and their boxes; N images, B boxes in the order of the file.

    Attributes:
        path: the file or folder. kind: of labels, for people.
        names: file name of each image, relative to the folder of images, forward slashes.
        image_ids: (N,) int64, each once.
        sizes: (N, 2) int32 width and height in pixels; -1 where nobody knows.
        xywh: (B, 4) float64 in pixels, x and y of the upper left corner.
        rows: (B,) int32, the image of each box.
        labels: (B,) int32, the class of each box: its place in ``classes``.
        crowd: (B,) bool: neither learnt nor found wrong (crowds, VOC's "difficult", boxes marked "ignore").
        areas: (B,) float64 in pixels, of the mask where the file has one.
        scores: (B,) float32, nan where a box has none.
        box_ids: (B,) int64 above 0, each once.
        classes: names. category_ids: their ids.
        image_places, box_places: the entry of the file that each image and box comes from.
        head: other values of the file (``info``, ``licenses``).
        report: what was mended, left out, refused.
        folder: that names are relative to, where the labels themselves tell (YOLO).
        sound: whether the file itself is a COCO json that every reader of COCO takes as this one does.
    """

    path: Path
    kind: str
    names: list[str]
    image_ids: Array
    sizes: Array
    xywh: Array
    rows: Array
    labels: Array
    crowd: Array
    areas: Array
    scores: Array
    box_ids: Array
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    image_places: Array
    box_places: Array
    report: LabelReport
    head: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    sound: bool = False

    @property
    def xyxy(self) -> Array:
        """(B, 4) float64 corners in pixels."""
        return np.concatenate([self.xywh[:, :2], self.xywh[:, :2] + self.xywh[:, 2:]], axis=1)

    def images(self) -> list[dict[str, Any]]:
        """The ``images`` of a COCO json."""
        found = []
        for name, number, (width, height) in zip(
            self.names, self.image_ids.tolist(), self.sizes.tolist(), strict=True
        ):
            size = {"width": width, "height": height} if width > 0 else {}
            found.append({"id": number, "file_name": name, **size})
        return found

    def annotation(self, box: int) -> dict[str, Any]:
        """One of the ``annotations`` of a COCO json."""
        entry = {
            "id": int(self.box_ids[box]),
            "image_id": int(self.image_ids[self.rows[box]]),
            "category_id": self.category_ids[self.labels[box]],
            "bbox": self.xywh[box].tolist(),
            "area": float(self.areas[box]),
            "iscrowd": int(self.crowd[box]),
        }
        if not np.isnan(self.scores[box]):
            entry["score"] = float(self.scores[box])
        return entry

    def categories(self) -> list[dict[str, Any]]:
        """The ``categories`` of a COCO json."""
        return [
            {"id": number, "name": name} for number, name in zip(self.category_ids, self.classes, strict=True)
        ]

    def to_coco(self) -> dict[str, Any]:
        """The dictionary of a COCO json, for pycocotools."""
        boxes = [self.annotation(box) for box in range(len(self.rows))]
        return {
            **self.head,
            "images": self.images(),
            "annotations": boxes,
            "categories": self.categories(),
        }
