"""A small sound label file as a dictionary, to be spoilt by tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def sound_coco(images: int = 6) -> dict[str, Any]:
    """Images of 64 x 48 pixels, two boxes each, classes cat (id 3) and dog (id 4)."""
    boxes = [
        {
            "id": 10 + number,
            "image_id": 1 + number // 2,
            "category_id": 3 + number % 2,
            "bbox": [1 + number % 40, 2, 20, 10 + number % 5],
            "area": 150.5,
            "iscrowd": 0,
        }
        for number in range(2 * images)
    ]
    return {
        "info": {"year": 2026},
        "images": [
            {"id": number, "file_name": f"{number}.png", "width": 64, "height": 48, "license": 2}
            for number in range(1, images + 1)
        ],
        "annotations": boxes,
        "categories": [{"id": 3, "name": "cat", "supercategory": "pet"}, {"id": 4, "name": "dog"}],
    }


def save(path: Path, content: Any) -> Path:
    """Write a label file."""
    path.write_text(json.dumps(content))
    return path
