"""COCO's results: a json list of boxes, ``[{"image_id", "bbox", "score", "category_id"}, ...]``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.json_stream import open_text
from aligndet.proposals.formats.columns import BoxTable, gather
from aligndet.proposals.formats.order import Given, needed
from aligndet.proposals.store import ProposalStore


def is_list(path: Path) -> bool:
    """Whether a file is a json list."""
    try:
        with open_text(path) as stream:
            return stream.read(4096).lstrip().startswith("[")
    except (OSError, EOFError, UnicodeDecodeError):
        return False


def read_results(path: Path, order: Given = None) -> ProposalStore:
    """Boxes of a results list, best first within an image, with their classes as clusters.

    Args:
        path: of the list.
        order: COCO json of the images that the list is about.

    Raises:
        InputError: no ``order``, an entry that is no box, or one of an image that the json does not have.
    """
    content = load_list(path)
    if not content or not all(isinstance(entry, dict) and "image_id" in entry for entry in content):
        raise InputError(
            f"{path}: a json list without 'image_id' in every entry; expected a COCO json (an object with "
            "'images' and 'annotations'), or a list of results with 'image_id' and 'bbox'; lists of SAM's "
            "mask generator are read from a folder, each named as its image"
        )
    followed = needed(path, order, "a list of results, which does not name its images")
    boxes = BoxTable()
    rows = followed.rows_of([entry["image_id"] for entry in content], path)
    classes = {key: place for place, (key, _) in enumerate(followed.categories)}
    labels = []
    for place, (row, entry) in enumerate(zip(rows.tolist(), content, strict=True)):
        try:
            boxes.add(row, entry["bbox"], entry.get("score"))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"{path}: entry {place} has 'bbox' {str(entry.get('bbox'))[:80]} and 'score' "
                f"{str(entry.get('score'))[:20]}; expected four numbers [x, y, width, height] and one"
            ) from error
        labels.append(_label(entry.get("category_id"), classes))
    keys, corners, scores = boxes.columns()
    best = np.lexsort((-np.nan_to_num(scores), keys))
    info: dict[str, Any] = {"description": "COCO results"}
    clusters = None
    if len(classes) > 1 and min(labels) >= 0:
        names = [name for _, name in followed.categories]
        info["clusters"] = {"clusters": len(names), "names": names}
        clusters = np.array(labels, np.int64)[best]
    return gather(followed.table, keys[best], corners[best], scores[best], clusters, info)


def _label(category: Any, classes: dict[int | str, int]) -> int:
    return classes.get(category, -1) if isinstance(category, int | str) else -1


def load_list(path: Path) -> list[Any]:
    """Read a json list whole.

    Raises:
        InputError: the file is damaged.
    """
    try:
        with open_text(path) as stream:
            content = json.load(stream)
    except (ValueError, EOFError, RecursionError) as error:
        raise InputError(f"{path}: not valid json ({error}); was it copied whole?") from error
    if not isinstance(content, list):
        raise InputError(f"{path}: expected a json list")
    return content
