"""Writing and reading proposals as COCO json, the format mmdet's CocoDataset opens."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .images import ImageEntry


@dataclass(frozen=True)
class ImageProposals:
    """What was found in one image: boxes (N, 4) xyxy, best first, or why it was skipped."""

    width: int = 0
    height: int = 0
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    scores: tuple[float, ...] | None = None
    skipped: str = ""


def assemble(
    entries: Sequence[ImageEntry], found: Sequence[ImageProposals], info: dict[str, Any]
) -> dict[str, Any]:
    """One COCO dictionary of all images; skipped ones are listed in `info.skipped` and nowhere else."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    for entry, result in zip(entries, found, strict=True):
        if result.skipped:
            skipped.append({"file_name": entry.file_name, "reason": result.skipped})
            continue
        size = {"width": result.width, "height": result.height}
        images.append({"id": entry.id, "file_name": entry.file_name, **size})
        for index, box in enumerate(result.boxes):
            score = None if result.scores is None else result.scores[index]
            annotations.append(_annotation(len(annotations) + 1, entry.id, box, score))
    return {
        "info": {**info, "skipped": skipped},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "proposal"}],
    }


def _annotation(number: int, image_id: int, box: Sequence[float], score: float | None) -> dict[str, Any]:
    x1, y1, x2, y2 = (_short(value) for value in box)
    w, h = _short(x2 - x1), _short(y2 - y1)
    row = {"id": number, "image_id": image_id, "bbox": [x1, y1, w, h], "area": _short(w * h)}
    row |= {"iscrowd": 0, "category_id": 1}
    return row if score is None else {**row, "score": round(score, 5)}


def _short(value: float) -> float | int:
    """At most two decimals, and whole numbers without any: most boxes lie on pixel edges."""
    rounded = round(float(value), 2)
    return int(rounded) if rounded.is_integer() else rounded


def write_json(path: Path, content: Any) -> None:
    """Write json so that a reader sees the old file or the whole new one, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
    os.replace(temporary, path)


def boxes_by_file(path: Path) -> dict[str, np.ndarray]:
    """Boxes (N, 4) xyxy per file name of a COCO json; crowd boxes are left out."""
    content = json.loads(path.read_text(encoding="utf-8"))
    rows: dict[int, list[list[float]]] = {image["id"]: [] for image in content["images"]}
    for annotation in content["annotations"]:
        if not annotation.get("iscrowd"):
            x, y, w, h = annotation["bbox"]
            rows[annotation["image_id"]].append([x, y, x + w, y + h])
    return {
        image["file_name"]: np.asarray(rows[image["id"]], dtype=np.float64).reshape(-1, 4)
        for image in content["images"]
    }
