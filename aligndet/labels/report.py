"""What a label file holds, and what in it could not be learnt from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2

from aligndet.common.coco import read_coco
from aligndet.common.images import UnreadableImageError, read_image

SHOWN = 3  # examples named in a fault


@dataclass
class LabelReport:
    """Counts of a COCO file and its faults.

    Attributes:
        file: the file.
        images, boxes, crowds: entries; a crowd is no box.
        empty_images: images without a box.
        classes: boxes by class name, classes without a box too.
        faults: what mmdet would drop or trip over, a line each.
    """

    file: Path
    images: int = 0
    boxes: int = 0
    crowds: int = 0
    empty_images: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"{self.file}: {self.boxes} boxes of {len(self.classes)} classes in {self.images} images "
            f"({self.empty_images} without a box), {self.crowds} crowds"
        ]
        lines += [f"  {count:>8}  {name}" for name, count in self.classes.items()]
        return "\n".join([*lines, *(f"fault: {fault}" for fault in self.faults)])


def check_labels(file: Path, images: Path | None = None) -> LabelReport:
    """Read a COCO file and say what it holds and what is wrong with it.

    Args:
        file: COCO json.
        images: folder of its images; with it, every image is opened and its size compared.

    Raises:
        InputError: the file is no COCO json, or an entry lacks a key.
    """
    coco = read_coco(file)
    names = {category["id"]: str(category["name"]) for category in coco["categories"]}
    real = [box for box in coco["annotations"] if not box.get("iscrowd")]
    used = {box["image_id"] for box in real}
    report = LabelReport(
        file,
        images=len(coco["images"]),
        boxes=len(real),
        crowds=len(coco["annotations"]) - len(real),
        empty_images=sum(image["id"] not in used for image in coco["images"]),
    )
    counts = Counter(names[box["category_id"]] for box in real if box["category_id"] in names)
    report.classes = {name: counts[name] for name in names.values()}
    sizes = {image["id"]: image for image in coco["images"]}
    report.faults += box_faults(real, sizes, names)
    if images is not None:
        report.faults += image_faults(coco["images"], images)
    return report


def box_faults(boxes: list[dict[str, Any]], images: dict[Any, dict[str, Any]], names: Any) -> list[str]:
    """Say which boxes cannot be used, by kind, each with its number and the first ids."""
    kinds: dict[str, list[str]] = {}
    for place, box in enumerate(boxes):
        kind = _kind_of_fault(box, images.get(box["image_id"]), names)
        if kind:
            kinds.setdefault(kind, []).append(str(box.get("id", f"annotations[{place}]")))
    return [f"{len(ids)} boxes {kind}: {_first(ids)}" for kind, ids in kinds.items()]


def _kind_of_fault(box: dict[str, Any], image: dict[str, Any] | None, names: Any) -> str:
    x, y, width, height = box["bbox"]
    if image is None:
        return "of an image_id that is not in 'images'"
    if box["category_id"] not in names:
        return "of a category_id that is not in 'categories'"
    if width <= 0 or height <= 0:
        return "without width or height"
    if not box.get("area", 1):
        return "with area 0, which mmdet drops (leave 'area' out, or give w * h)"
    if max(x + width, y + height) <= 1.5 and image.get("width", 0) > 2:
        return "in fractions of the image (expected pixels)"
    if "width" in image and (
        x >= image["width"] or y >= image["height"] or x + width <= 0 or y + height <= 0
    ):
        return "outside their image"
    return ""


def image_faults(entries: list[dict[str, Any]], folder: Path) -> list[str]:
    """Say which images are missing, unreadable, or of another size than the file says."""
    missing, others = [], []
    for entry in entries:
        name = entry["file_name"]
        try:
            height, width = read_image(folder / name).shape[:2]
        except (UnreadableImageError, cv2.error) as error:
            missing.append(f"{name} ({error})")
            continue
        if (entry.get("width", width), entry.get("height", height)) != (width, height):
            others.append(f"{name} is {width}x{height}, the file says {entry['width']}x{entry['height']}")
    faults = [f"{len(missing)} images cannot be read in {folder}: {_first(missing)}"] if missing else []
    return faults + ([f"{len(others)} images of another size: {_first(others)}"] if others else [])


def _first(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
