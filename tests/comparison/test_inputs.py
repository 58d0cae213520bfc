"""What a comparison reads: labels of any kind become sound files; labels that do not fit are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.common.console import Console
from aligndet.common.errors import InputError
from aligndet.common.labels.reader import read_labels
from aligndet.comparison.inputs import check_images, draw_labels, sound_sets
from aligndet.comparison.leaks import guard
from aligndet.comparison.settings import EvalSet, Settings, Start
from tests.small_coco import make_coco


@pytest.fixture
def ask(tmp_path: Path) -> Settings:
    train, val = make_coco(tmp_path, 10), make_coco(tmp_path, 4, seed=1)
    data = EvalSet(val, tmp_path / "images")
    return Settings(
        config="none",
        starts=(Start("random"),),
        train=EvalSet(train, tmp_path / "images"),
        report=data,
        tune=data,
        work_dir=tmp_path / "work",
        iters={50.0: 9},
        lrs=(0.1,),
        seeds=1,
    )


def spoil(path: Path, **fields: object) -> None:
    content = json.loads(path.read_text())
    for box in content["annotations"]:
        box.update(fields)
    path.write_text(json.dumps(content))


def test_sound_labels_are_used_where_they_are(ask: Settings) -> None:
    assert sound_sets(ask) == ask
    assert not ask.work_dir.exists()


def test_mended_labels_are_what_runs_train_on_and_are_scored_on(ask: Settings) -> None:
    """Areas of 0, which mmdet drops, and ids from 0 reach no run: it reads sound files."""
    spoil(ask.train.annotations, area=0)
    spoil(ask.report.annotations, id=0)
    ready = sound_sets(ask)
    assert ready.train.annotations == ask.work_dir / "labels" / "train.json"
    assert ready.report == ready.tune
    check_images(ready, Console(quiet=True))
    (fraction,) = draw_labels(ready).values()
    boxes = json.loads(fraction.read_text())["annotations"]
    assert [box["area"] for box in boxes] == [28 * 28] * 10
    truth = json.loads(ready.report.annotations.read_text())["annotations"]
    assert sorted(box["id"] for box in truth) == list(range(1, 9))


def test_one_mended_file_for_both_stays_one(ask: Settings) -> None:
    """So that the guard knows that it was given as both."""
    spoil(ask.train.annotations, area=0)
    ready = sound_sets(replace(ask, report=ask.train, tune=ask.train))
    assert ready.train == ready.report == ready.tune
    assert ready.train.annotations == ask.work_dir / "labels" / "train.json"
    assert guard(ready, Console(quiet=True)).leak


def test_yolo_labels_are_compared_on_as_coco(ask: Settings, tmp_path: Path) -> None:
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / "images" / f"y{number}.png"), np.zeros((64, 64, 3), np.uint8))
        (tmp_path / "texts").mkdir(exist_ok=True)
        (tmp_path / "texts" / f"y{number}.txt").write_text("0 .5 .5 .25 .5\n")
    (tmp_path / "texts" / "classes.txt").write_text("red\ngreen\n")
    yolo = EvalSet(tmp_path / "texts", tmp_path / "images")
    ready = sound_sets(Settings(**{**vars(ask), "train": yolo}))
    labels = read_labels(ready.train.annotations)
    assert labels.sound
    assert labels.classes == ("red", "green")
    assert labels.xywh.tolist() == [[24, 16, 16, 32]] * 2
    assert labels.report.empty_images == 14  # the images of the other label files


def test_labels_of_other_images_are_refused_before_any_run(ask: Settings) -> None:
    content = json.loads(ask.report.annotations.read_text())
    for image in content["images"]:
        image["file_name"] = f"v_{image['file_name']}"
    ask.report.annotations.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"--val .*v_1001\.png.*--val-images"):
        check_images(sound_sets(ask), Console(quiet=True))


def test_labels_of_a_larger_copy_are_refused_by_both_sizes(ask: Settings) -> None:
    content = json.loads(ask.train.annotations.read_text())
    for image in content["images"]:
        image.update(width=128, height=128)
    ask.train.annotations.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"64x64 px, 128x128 in the labels"):
        check_images(sound_sets(ask), Console(quiet=True))
