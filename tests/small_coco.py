"""A tiny COCO data set for tests: coloured rectangles on noise, one class per colour."""

import json
from pathlib import Path

import cv2
import numpy as np


def make_coco(folder: Path, num_images: int, seed: int = 0, size: int = 64) -> Path:
    """Write ``images/*.png`` and ``{seed}.json`` below ``folder``; two boxes an image, two classes.

    Returns:
        The annotation file. Image ids are unique over seeds below 100.
    """
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, boxes = [], []
    for number in range(num_images):
        pixels = rng.integers(0, 60, (size, size, 3), dtype=np.uint8)
        image_id = 1000 * seed + number + 1
        for label, colour in enumerate([(0, 0, 255), (0, 255, 0)]):
            x, y = rng.integers(0, size - 28, 2).tolist()
            cv2.rectangle(pixels, (x, y), (x + 27, y + 27), colour, -1)
            box = {"id": 2 * image_id + label, "image_id": image_id, "category_id": 5 + label, "iscrowd": 0}
            boxes.append({**box, "bbox": [x, y, 28, 28], "area": 28 * 28})
        name = f"{image_id}.png"
        cv2.imwrite(str(folder / "images" / name), pixels)
        images.append({"id": image_id, "file_name": name, "width": size, "height": size})
    categories = [{"id": 5, "name": "red"}, {"id": 6, "name": "green"}]
    path = folder / f"{seed}.json"
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    return path
