"""Matches: an instance with slots in both views is thick, and slots are counted by image and instance."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from aligndet.visualization.drawing import instance_colour
from aligndet.visualization.matches import draw_matches
from tests.command import command
from tests.small import detector

show = command("show matches")
CAPTION = 20


def test_what_both_views_match_is_thick() -> None:
    images = {branch: np.full((60, 80, 3), 90, np.uint8) for branch in ("online", "momentum")}
    boxes = {branch: (np.array([[10, 20, 70, 50]]), [4]) for branch in images}
    for counts, thick in (({4: 3}, True), ({}, False)):
        picture = draw_matches(images, boxes, {"online": Counter({4: 5}), "momentum": Counter(counts)})
        rows = picture[CAPTION:, 60]
        drawn = int((rows == instance_colour(4)).all(axis=1).sum())
        assert drawn >= 2
        assert (drawn > 2) is thick  # two edges of a pixel, or more


@pytest.fixture
def pretraining(tmp_path: Path) -> Path:
    """A pre-training config: two images with two boxes each, one view twice as large as the other."""
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((128, 128, 3), 60 * number, np.uint8))
        images.append({"id": number, "file_name": f"{number}.png", "width": 128, "height": 128})
        boxes += [
            {"id": 2 * number, "image_id": number, "bbox": [8, 8, 64, 64]},
            {"id": 2 * number + 1, "image_id": number, "bbox": [60, 40, 60, 80]},
        ]
    boxes = [
        {**box, "area": box["bbox"][2] * box["bbox"][3], "iscrowd": 0, "category_id": 1} for box in boxes
    ]
    coco = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "proposal"}]}
    (tmp_path / "proposals.json").write_text(json.dumps(coco))
    view = [{"type": "Resize", "scale": (128, 128), "keep_ratio": True}, {"type": "aligndet.PackView"}]
    pipeline = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_bbox": True},
        {"type": "aligndet.NumberProposals"},
        {"type": "MultiBranch", "branch_field": ["online", "momentum"], "online": view, "momentum": view},
    ]
    dataset = {
        "type": "aligndet.ProposalDataset",
        "ann_file": str(tmp_path / "proposals.json"),
        "data_prefix": {"img": f"{tmp_path}/"},
        "pipeline": pipeline,
    }
    model = {"type": "aligndet.BoxDomainPretrainer", "detector": detector("retinanet")}
    config = Config({"default_scope": "mmdet", "model": model, "train_dataloader": {"dataset": dataset}})
    config.dump(tmp_path / "config.py")
    return tmp_path / "config.py"


def test_the_command_draws_and_counts(pretraining: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = pretraining.parent / "matches.png"
    assert show([pretraining, out, "--count", 2, "--json", out.with_suffix(".json")]) == 0
    assert re.search(
        r"boxes with slots in both views: \[2, 2\]; slots of the online view: \[\d+, \d+\]",
        capsys.readouterr().out,
    )
    assert json.loads(out.with_suffix(".json").read_text())["matched"] == [2, 2]
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.shape == (2 * (128 + CAPTION) + 4, 2 * 128 + 4, 3)


def test_a_config_of_a_plain_detector_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Config({"model": detector("retinanet")}).dump(tmp_path / "plain.py")
    assert show([tmp_path / "plain.py", tmp_path / "out.png"]) == 2
    assert "expected a box-domain pre-training config" in capsys.readouterr().err
