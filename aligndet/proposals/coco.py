"""Writing proposals as COCO json, the format that mmdet's CocoDataset opens."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.files import replacing
from aligndet.proposals.store import ProposalStore


def write_coco(store: ProposalStore, out: Path) -> None:
    """Write a store as COCO json, image by image; readers see the old file or the whole new one.

    Scores become ``score``, clusters the categories (``cluster_i`` has id i + 1); hierarchy levels have no
    place in a COCO json. Skipped images are listed in ``info.skipped`` and nowhere else.
    """
    with replacing(out) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8")
        _write(store, text)
        text.detach()  # writes what it still holds, and leaves the file open


def _write(store: ProposalStore, stream: IO[str]) -> None:
    info = _dumps({"description": "AlignDet proposals", **store.info})
    stream.write('{"info":' + info[:-1] + ',"skipped":')
    _write_list(store.skipped(), stream)
    stream.write('},"images":')
    _write_list((_image(store, image) for image in range(len(store))), stream)
    stream.write(',"annotations":')
    _write_list(_annotations(store), stream)
    names = store.info.get("clusters", {}).get("names") or [f"cluster_{i}" for i in range(store.num_clusters)]
    categories = [{"id": i, "name": name} for i, name in enumerate(names or ["proposal"], start=1)]
    stream.write(f',"categories":{_dumps(categories)}}}')


def _write_list(rows: Iterable[Any], stream: IO[str]) -> None:
    stream.write("[")
    for number, row in enumerate(rows):
        stream.write(("," if number else "") + _dumps(row))
    stream.write("]")


_dumps = json.JSONEncoder(separators=(",", ":")).encode  # one encoder: json.dumps would make one for each box


def _image(store: ProposalStore, image: int) -> dict[str, Any]:
    width, height = store.size(image)
    if width < 0:
        raise InputError(
            f"{store.path or 'the proposals'}: the size of image {store.file_name(image)} is not known, "
            "which a COCO json needs; give the folder of the images (--images)"
        )
    name = store.file_name(image)
    return {"id": int(store.image_ids[image]), "file_name": name, "width": width, "height": height}


def _annotations(store: ProposalStore) -> Iterator[dict[str, Any]]:
    number = 0
    for image in range(len(store)):
        image_id, numbers = int(store.image_ids[image]), _numbers(store.boxes(image))
        scores, clusters = (store.column(name, image) for name in ("scores", "clusters"))
        scored: Any = (
            [math.nan] * len(numbers) if scores is None else scores.astype(np.float64).round(5).tolist()
        )
        categories: Any = [1] * len(numbers) if clusters is None else (clusters + 1).tolist()
        for (*box, size), score, category in zip(numbers, scored, categories, strict=True):
            number += 1
            row = {"id": number, "image_id": image_id, "bbox": box, "area": size}
            row |= {"iscrowd": 0, "category_id": category}
            yield row if math.isnan(score) else {**row, "score": score}


def _numbers(boxes: np.ndarray) -> list[list[float | int]]:
    """x, y, w, h and area of xyxy boxes: at most two decimals, and none where a number is whole."""
    corners = boxes.astype(np.float64).round(2)
    sides = (corners[:, 2:] - corners[:, :2]).round(2)
    area = sides.prod(axis=1, keepdims=True).round(2)
    rows = np.concatenate([corners[:, :2], sides, area], axis=1).tolist()
    return [[int(value) if value.is_integer() else value for value in row] for row in rows]
