"""``aligndet labels check``: the whole report, on the screen, as data and as a page."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.labels.report import check_labels
from tests.command import command
from tests.small_labels import save, sound_coco

check = command("labels check")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    for number in range(1, 7):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((48, 64, 3), np.uint8))
    content = sound_coco()
    content["annotations"][0]["iscrowd"] = 1
    return save(tmp_path / "good.json", content)


def test_a_good_file_is_counted_and_fits(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = good.parent / "report.json"
    assert check([good, "--images", good.parent, "--json", result]) == 0
    data = json.loads(result.read_text())
    assert {key: data[key] for key in ("images", "boxes", "crowds", "empty_images", "classes", "faults")} == {
        "images": 6,
        "boxes": 11,
        "crowds": 1,
        "empty_images": 0,
        "classes": {"cat": 5, "dog": 6},
        "faults": [],
    }
    assert data["fit"]["looked"] == 6
    out = capsys.readouterr().out
    assert "COCO json: 11 boxes of 2 classes in 6 images (0 without a box), 1 crowds" in out
    assert "6 images, all there" in out


def test_everything_mended_and_refused_is_listed_and_the_exit_is_2(
    good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = sound_coco()
    for box in content["annotations"]:
        del box["iscrowd"]
    del content["annotations"][2]["image_id"]
    content["annotations"][3]["bbox"] = [1, 2]
    path = save(good.parent / "bad.json", content)
    assert check([path, "--json", good.parent / "r.json"]) == 2
    out = capsys.readouterr().out
    assert "refused: annotations[2] (id 12) has no 'image_id'" in out
    assert "refused: annotations[3] (id 13) has 'bbox' [1, 2]; expected four numbers" in out
    assert "mended: 'iscrowd' that is missing" in out
    data = json.loads((good.parent / "r.json").read_text())
    assert [note["kind"] for note in data["notes"]] == ["mended", "refused", "refused"]
    assert len(data["faults"]) == 2


def test_images_that_do_not_fit_are_faults(good: Path) -> None:
    cv2.imwrite(str(good.parent / "1.png"), np.zeros((20, 30, 3), np.uint8))
    (good.parent / "2.png").unlink()
    faults = check_labels(good, good.parent).faults
    assert any("2.png" in fault for fault in faults)
    assert any("1.png is 30x20" in fault for fault in faults)


def test_boxes_are_drawn_on_a_page(good: Path) -> None:
    page = good.parent / "look.html"
    assert check([good, "--images", good.parent, "--page", page, "--count", 2]) == 0
    assert "data:image" in page.read_text()
    picture = good.parent / "look.png"
    assert check([good, "--images", good.parent, "--page", picture, "--count", 2]) == 0
    assert np.asarray(cv2.imread(str(picture))).max() > 100  # the images are black: what is bright are boxes
