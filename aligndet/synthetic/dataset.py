"""Writing the generated set: images by split, and a COCO json per split."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.files import write_bytes
from aligndet.synthetic.pictures import LEAST_SIZE, encode
from aligndet.synthetic.scene import Scene, render_scene
from aligndet.synthetic.shapes import CLASSES

SPLITS = ("train", "val", "test", "unlabelled")


def write_dataset(out: Path, counts: Mapping[str, int], size: int = 256, seed: int = 0) -> dict[str, Path]:
    """Generate `counts[split]` images per split.

    Writes `out/images/<split>/<number>.jpg` and `out/annotations/<split>.json`; file names in the json are
    relative to `out/images`. The split "unlabelled" has images and no annotations. A picture depends on
    (seed, split, number) alone, so a larger set begins with the smaller one.

    Args:
        out: folder to write into.
        counts: images per split; split names are those of SPLITS.
        size: side of the square images, in pixels.
        seed: of everything.

    Returns:
        The json file of each split.

    Raises:
        ValueError: unknown split, or a size too small for its objects to be seen.
    """
    unknown = sorted(set(counts) - set(SPLITS))
    if unknown:
        raise ValueError(f"unknown split {', '.join(unknown)}; expected {', '.join(SPLITS)}")
    if size < LEAST_SIZE:
        raise ValueError(f"size={size}: generated images need a side of at least {LEAST_SIZE} pixels")
    files = {}
    for split, count in counts.items():
        content = _write_split(out, split, count, size, seed)
        files[split] = out / "annotations" / f"{split}.json"
        write_bytes(files[split], json.dumps(content).encode())
    return files


def scene_of(split: str, number: int, size: int, seed: int) -> Scene:
    """The picture that a set of this seed has at this place."""
    return render_scene(size, np.random.default_rng([seed, SPLITS.index(split), number]))


def _write_split(out: Path, split: str, count: int, size: int, seed: int) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(count):
        scene = scene_of(split, number, size, seed)
        name = f"{split}/{number:06d}.jpg"
        write_bytes(out / "images" / name, encode(scene.image, ".jpg"))
        images.append({"id": number + 1, "file_name": name, "width": size, "height": size})
        if split != "unlabelled":
            annotations += _annotations(scene, number + 1, len(annotations) + 1)
    categories = [{"id": label + 1, "name": name} for label, name in enumerate(CLASSES)]
    info = {"description": "AlignDet demo set, generated", "seed": seed, "size": size, "split": split}
    return {"info": info, "images": images, "annotations": annotations, "categories": categories}


def _annotations(scene: Scene, image_id: int, first_id: int) -> list[dict[str, Any]]:
    rows = []
    for offset, (mask, box, label) in enumerate(zip(scene.masks, scene.boxes, scene.labels, strict=True)):
        x1, y1, x2, y2 = (int(v) for v in box)
        row = {"id": first_id + offset, "image_id": image_id, "category_id": int(label) + 1, "iscrowd": 0}
        rows.append({**row, "bbox": [x1, y1, x2 - x1, y2 - y1], "area": int(mask.sum())})
    return rows
