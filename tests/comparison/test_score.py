"""AP is right whatever the ids: perfect predictions score 1, sound files score as with pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from aligndet.common.labels.reader import read_labels
from aligndet.common.labels.write import sound_labels
from aligndet.comparison.score import coco_scores
from tests.small_labels import save, sound_coco

Spoil = Callable[[dict[str, Any]], Any]


def numbered(key: str, field: str, make: Callable[[int], Any]) -> Spoil:
    """Give the entries of a list ids by their place; boxes follow their images and classes."""

    def spoil(content: dict[str, Any]) -> None:
        new = {entry[field]: make(place) for place, entry in enumerate(content[key])}
        for entry in content[key]:
            entry[field] = new[entry[field]]
        link = {"images": "image_id", "categories": "category_id"}.get(key)
        for box in content["annotations"] if link else ():
            box[link] = new[box[link]]

    return spoil


def drop(field: str) -> Spoil:
    return lambda content: [box.pop(field) for box in content["annotations"]]


SCHEMES: dict[str, Spoil] = {
    "as they should be": lambda content: None,
    "annotations from 0": numbered("annotations", "id", lambda place: place),
    "annotations below 0": numbered("annotations", "id", lambda place: -place),
    "annotations from 0 in every image": numbered("annotations", "id", lambda place: place % 2),
    "annotations of one id": numbered("annotations", "id", lambda place: 5),
    "annotations without id": drop("id"),
    "annotations with text": numbered("annotations", "id", lambda place: f"box {place}"),
    "annotations beyond 63 bits": numbered("annotations", "id", lambda place: 2**64 + place),
    "images from 0": numbered("images", "id", lambda place: place),
    "images as text": numbered("images", "id", lambda place: str(place)),
    "images that are words": numbered("images", "id", lambda place: f"frame {place}"),
    "images beyond 63 bits": numbered("images", "id", lambda place: 2**63 + place),
    "images with a point": numbered("images", "id", lambda place: place + 1.0),
    "classes from 0": numbered("categories", "id", lambda place: place),
    "classes as text": numbered("categories", "id", lambda place: str(place)),
    "classes that are words": numbered("categories", "id", lambda place: "xy"[place]),
    "classes far apart": numbered("categories", "id", lambda place: 90 - 40 * place),
    "no crowd flags": drop("iscrowd"),
    "no areas": drop("area"),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_perfect_predictions_score_1_in_every_scheme_of_ids(scheme: str, tmp_path: Path) -> None:
    """Predictions are made of the file that training and scoring read, as a detector's are."""
    content = sound_coco()
    SCHEMES[scheme](content)
    file = sound_labels(read_labels(save(tmp_path / "val.json", content)), tmp_path / "sound.json")
    perfect = [
        {"image_id": box["image_id"], "category_id": box["category_id"], "bbox": box["bbox"], "score": 0.9}
        for box in read_labels(file).to_coco()["annotations"]
    ]
    assert len(perfect) == 12
    assert coco_scores(file, perfect) == {"AP": pytest.approx(1.0), "AP50": pytest.approx(1.0)}
    assert coco_scores(file, perfect[:6])["AP"] < 0.6


def test_a_crowd_is_neither_missed_nor_a_mistake(tmp_path: Path) -> None:
    """Boxes inside a crowd count for nothing, whatever its flag is written like."""
    for flag in (1, "1", True):
        content = sound_coco()
        content["annotations"][0]["iscrowd"] = flag
        path = save(tmp_path / "val.json", content)
        truth = read_labels(path).to_coco()["annotations"]
        found = [
            {key: box[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.5}
            for box in truth
            if not box["iscrowd"]
        ]
        inside = {**found[0], "image_id": 1, "category_id": 3, "bbox": [2, 3, 8, 5], "score": 0.9}
        assert coco_scores(path, [*found, inside])["AP"] == pytest.approx(1.0)


def test_sound_files_score_as_with_pycocotools(tmp_path: Path) -> None:
    """Wrong and missed boxes, wrong classes, crowds: the same number as pycocotools' own reading."""
    rng = np.random.default_rng(0)
    content = sound_coco(20)
    content["annotations"][4]["iscrowd"] = 1
    path = save(tmp_path / "val.json", content)
    results = [
        {
            "image_id": box["image_id"],
            "category_id": box["category_id"] if rng.random() > 0.2 else 3,
            "bbox": (np.array(box["bbox"]) + rng.uniform(-3, 3, 4)).tolist(),
            "score": float(rng.random()),
        }
        for box in content["annotations"] * 2
        if rng.random() > 0.3
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        measured = COCOeval(truth, truth.loadRes(results), "bbox")
        measured.evaluate()
        measured.accumulate()
        measured.summarize()
    scores = coco_scores(path, results)
    assert scores == {"AP": measured.stats[0], "AP50": measured.stats[1]}
    assert 0.05 < scores["AP"] < 0.9
