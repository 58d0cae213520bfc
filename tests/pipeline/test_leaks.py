"""Validation images that pre-training sees are told before the work, and so in the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from aligndet.common.errors import InputError
from aligndet.pipeline.checks import check_question
from aligndet.pipeline.leaks import leaks_of_pretraining
from aligndet.pipeline.question import make_question
from tests.small_coco import make_coco

DETECTOR = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"


def test_images_of_val_among_the_unlabelled_ones_are_told(tmp_path: Path) -> None:
    """By name where the folder is one, by content where they are copies; other images are none."""
    train, val = make_coco(tmp_path / "labelled", 3, seed=1), make_coco(tmp_path / "labelled", 4, seed=2)
    folder = tmp_path / "labelled" / "images"
    make_coco(tmp_path / "others", 3, seed=3)
    make_coco(tmp_path / "more", 3, seed=4)
    copied = tmp_path / "more" / "images" / "copied.png"
    copied.write_bytes((folder / "2002.png").read_bytes())
    four, one = ["4 of the 4 images of --val"], ["1 of the 4 images of --val"]
    for images, told in ((folder, four), (tmp_path / "others", []), (tmp_path / "more", one)):
        question = make_question(
            DETECTOR,
            images,
            train=train,
            val=val,
            train_images=folder,
            val_images=folder,
            out=tmp_path / "run",
        )
        found = leaks_of_pretraining(question)
        assert [text[:26] for text in found] == told
    assert f"--val {val} are also in IMAGES {tmp_path}/more (1 the same bytes)" in found[0]
    assert (
        "2002.png, there as images/copied.png: the detector is pre-trained on images that AP is" in found[0]
    )


def test_of_labels_with_splits_only_val_counts(tmp_path: Path) -> None:
    """YOLO's data.yaml names both splits: images of train that are pre-trained on are no leak."""
    for part, seed in (("train", 1), ("val", 2)):
        make_coco(tmp_path / part, 2, seed=seed)
        (tmp_path / "labels" / part).mkdir(parents=True)
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / part / "images").rename(tmp_path / "images" / part)
        for image in (tmp_path / "images" / part).iterdir():
            (tmp_path / "labels" / part / f"{image.stem}.txt").write_text("0 .5 .5 .25 .5\n")
    data = tmp_path / "data.yaml"
    data.write_text("train: images/train\nval: images/val\nnames: [thing]\n")
    labels = {"train": data, "val": data, "train_images": tmp_path, "val_images": tmp_path}
    for part, told in (("train", []), ("val", ["2 of the 2 images of --val"])):
        question = make_question(DETECTOR, tmp_path / "images" / part, **labels, out=tmp_path / "run")
        assert [text[:26] for text in leaks_of_pretraining(question)] == told


def test_how_labels_fit_is_said_and_their_folder_asked_for(tmp_path: Path) -> None:
    train, val = make_coco(tmp_path, 3, seed=1), make_coco(tmp_path, 4, seed=2)
    asked = {"train": train, "val": val, "out": tmp_path / "run"}
    lines = check_question(make_question(DETECTOR, tmp_path / "images", **asked))
    assert [line.split(": ")[1].split(",")[0] for line in lines] == ["3 images", "4 images"]
    with pytest.raises(InputError, match="--train-images: give the folder of the images of --train"):
        check_question(make_question(DETECTOR, tmp_path / "images" / "*.png", **asked))
