"""``aligndet labels check`` and ``convert``: what a label file holds, and each fault by its ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.labels.convert import convert_labels
from aligndet.labels.report import check_labels
from tests.command import command

check = command("labels check")
convert = command("labels convert")


def coco(boxes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "images": [
            {"id": 1, "file_name": "a.png", "width": 60, "height": 40},
            {"id": 2, "file_name": "b.png", "width": 60, "height": 40},
        ],
        "annotations": [{"id": number, "iscrowd": 0, **box} for number, box in enumerate(boxes, 1)],
        "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}],
    }


def box(bbox: list[float], image: int = 1, category: int = 3, **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": bbox, "area": bbox[2] * bbox[3], **more}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((40, 60, 3), np.uint8))
    boxes = [box([0, 0, 9, 9]), box([5, 5, 9, 9]), box([0, 0, 60, 40], iscrowd=1)]
    (tmp_path / "good.json").write_text(json.dumps(coco(boxes)))
    return tmp_path / "good.json"


def test_a_good_file_is_counted(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = check_labels(good, good.parent)
    assert (report.images, report.boxes, report.crowds, report.empty_images) == (2, 2, 1, 1)
    assert report.classes == {"cat": 2, "dog": 0}
    assert report.faults == []
    assert check([good, "--images", good.parent, "--json", good.parent / "report.json"]) == 0
    assert json.loads((good.parent / "report.json").read_text())["classes"] == {"cat": 2, "dog": 0}


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (box([0, 0, 9, 9], image=7), "1 boxes of an image_id that is not in 'images': 2"),
        (box([0, 0, 9, 9], category=7), "1 boxes of a category_id that is not in 'categories': 2"),
        (box([0, 0, 0, 9]), "1 boxes without width or height: 2"),
        (box([0, 0, 9, 9]) | {"area": 0}, "1 boxes with area 0"),
        (box([0.1, 0.1, 0.5, 0.5]), "1 boxes in fractions of the image (expected pixels): 2"),
        (box([60, 0, 9, 9]), "1 boxes outside their image: 2"),
    ],
)
def test_a_box_that_cannot_be_used_is_named(
    wrong: dict[str, Any], fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(coco([box([0, 0, 9, 9]), wrong])))
    assert [line.startswith(fault) for line in check_labels(file).faults] == [True]
    assert check([file]) == 1
    assert f"fault: {fault}" in capsys.readouterr().out


def test_images_are_opened_and_measured(good: Path) -> None:
    cv2.imwrite(str(good.parent / "a.png"), np.zeros((20, 30, 3), np.uint8))
    (good.parent / "b.png").unlink()
    faults = check_labels(good, good.parent).faults
    assert len(faults) == 2
    assert faults[0].startswith(f"1 images cannot be read in {good.parent}: b.png (")
    assert faults[1] == "1 images of another size: a.png is 30x20, the file says 60x40"


def test_convert_copies_coco_and_reports(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = good.parent / "new" / "out.json"
    assert convert([good, out]) == 0
    assert json.loads(out.read_text()) == json.loads(good.read_text())
    assert "2 boxes of 2 classes" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["folder", "labels.txt"])
def test_other_kinds_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    place = tmp_path / name
    place.write_text("0 .5 .5 .1 .1") if place.suffix else place.mkdir()
    with pytest.raises(InputError, match="YOLO and Pascal VOC are to come"):
        convert_labels(place, tmp_path / "out.json")


def test_a_file_is_not_written_over_itself(good: Path) -> None:
    before = good.read_bytes()
    with pytest.raises(InputError, match="this is the source"):
        convert_labels(good, good)
    assert good.read_bytes() == before
