"""Labels and images that do not belong together are told before any work, with what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.common.fit_of_labels import check_fit, fit_of_labels
from aligndet.common.labels.reader import read_labels


def labels(folder: Path, **size: int) -> dict[str, Any]:
    """Four images of 60 x 40 with a box each, in a folder and in a COCO dictionary."""
    (folder / "images").mkdir(exist_ok=True)
    coco: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "thing"}]}
    for number in range(1, 5):
        cv2.imwrite(str(folder / "images" / f"{number}.png"), np.full((40, 60, 3), number, np.uint8))
        coco["images"].append({"id": number, "file_name": f"{number}.png", **size})
        box = {"image_id": number, "category_id": 1, "bbox": [30, 20, 30, 20], "area": 600, "iscrowd": 0}
        coco["annotations"].append({"id": number, **box})
    return coco


def read(folder: Path, coco: dict[str, Any]) -> Any:
    (folder / "labels.json").write_text(json.dumps(coco))
    return read_labels(folder / "labels.json")


def test_what_fits_is_one_line(tmp_path: Path) -> None:
    fit = check_fit(read(tmp_path, labels(tmp_path, width=60, height=40)), tmp_path / "images")
    assert fit.line() == (
        f"{tmp_path}/labels.json on {tmp_path}/images: 4 images, all there, sizes as labelled"
    )
    assert (fit.images, fit.looked, fit.boxes, fit.outside, fit.unlisted) == (4, 4, 4, 0, 0)


def test_missing_files_and_files_without_an_entry(tmp_path: Path) -> None:
    coco = labels(tmp_path, width=60, height=40)
    coco["images"][2]["file_name"] = "train/3.PNG"
    found = read(tmp_path, coco)
    fit = fit_of_labels(found, tmp_path / "images")
    assert (fit.missing, fit.near, fit.unlisted) == (("train/3.PNG",), "3.png", 1)
    assert "1 missing, 1 files without an entry" in fit.line()
    message = (
        r"--val .*labels\.json: 1 of 4 images are not in .*images, such as train/3\.PNG \(3\.png is there\)"
    )
    with pytest.raises(InputError, match=message + ".*--val-images"):
        check_fit(found, tmp_path / "images", "--val", "--val-images")


def test_a_few_bad_images_are_told_and_no_more_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = read(tmp_path, labels(tmp_path, width=60, height=40))
    (tmp_path / "images" / "2.png").unlink()
    cv2.imwrite(str(tmp_path / "images" / "3.png"), np.zeros((80, 90, 3), np.uint8))
    monkeypatch.setenv("ALIGNDET_MAX_BAD", "34")
    assert check_fit(found, tmp_path / "images").missing == ("2.png",)
    told = capsys.readouterr().err.splitlines()
    assert ["1 of 4 images are not in" in told[0], "1 of 3 images have another size" in told[1]] == [True] * 2
    assert all(line.endswith("; training replaces them, a test takes them as black") for line in told)
    monkeypatch.setenv("ALIGNDET_MAX_BAD", "24")
    with pytest.raises(InputError, match="1 of 4 images are not in"):
        check_fit(found, tmp_path / "images")


def test_images_of_another_size_than_the_labels_say(tmp_path: Path) -> None:
    """Images were shrunk, the labels have the originals' sizes and boxes."""
    found = read(tmp_path, labels(tmp_path, width=120, height=80))
    fit = fit_of_labels(found, tmp_path / "images")
    assert str(fit.resized[0]) == "1.png is 60x40 px, 120x80 in the labels"
    with pytest.raises(InputError, match=r"4 of 4 images have another size .* 1\.png is 60x40 px, 120x80 in"):
        check_fit(found, tmp_path / "images")


def test_boxes_of_another_size_where_the_labels_say_none(tmp_path: Path) -> None:
    coco = labels(tmp_path)
    assert not fit_of_labels(read(tmp_path, coco), tmp_path / "images").faults()
    for box in coco["annotations"][:2]:
        box["bbox"] = [60, 40, 60, 40]
    fit = fit_of_labels(read(tmp_path, coco), tmp_path / "images")
    assert (fit.boxes, fit.outside) == (4, 2)
    assert fit.faults()[0].startswith("2 of 4 boxes reach out of their images")


def test_an_unreadable_image_is_said_and_stops_nothing(tmp_path: Path) -> None:
    coco = labels(tmp_path, width=60, height=40)
    (tmp_path / "images" / "2.png").write_bytes(b"no image")
    fit = check_fit(read(tmp_path, coco), tmp_path / "images")
    assert "1 cannot be read, such as 2.png (OpenCV cannot decode it)" in fit.line()


def test_of_many_images_an_even_sample_is_looked_at(tmp_path: Path) -> None:
    fit = fit_of_labels(read(tmp_path, labels(tmp_path, width=60, height=40)), tmp_path / "images", most=2)
    assert (fit.images, fit.looked, fit.boxes) == (4, 2, 2)
    assert "sizes as labelled (2 looked at)" in fit.line()
