"""A question is checked before any run: its options, its labels and their images."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aligndet.common.console import Console
from aligndet.common.errors import InputError
from aligndet.comparison.compare import prepare
from aligndet.comparison.question import make_settings
from aligndet.comparison.settings import Settings, Start
from tests.small import STOCK
from tests.small_coco import make_coco

Edit = Callable[[dict[str, Any]], Any]


def ask(folder: Path, **options: Any) -> Settings:
    train, val = make_coco(folder, 6), make_coco(folder, 4, seed=1)
    given: dict[str, Any] = {
        "starts": ["random="],
        "lr": 0.01,
        "iters": 3,
        "percent": [100],
        "out": folder / "work",
        "images": folder / "images",
    }
    return make_settings(STOCK["retinanet"], train=train, val=val, **given | options)


def test_plain_values_become_settings(tmp_path: Path) -> None:
    asked = ask(tmp_path, starts={"random": None}, lr=[0.01, 0.02, 0.02], workers=3, cfg_options={"a": 1})
    assert asked.starts == (Start("random"),)
    assert asked.lrs == (0.02, 0.01)
    assert asked.iters == {100.0: 3}
    assert (asked.workers, asked.cfg_options, asked.halve) == (3, {"a": 1}, True)
    assert asked.train.images == asked.report.images == tmp_path / "images"
    assert not (tmp_path / "work").exists(), "asking writes nothing"


def test_rates_are_searched_on_a_half_only_where_there_are_several(tmp_path: Path) -> None:
    assert not ask(tmp_path, lr=0.01).halve
    several = {"lr": [0.02, 0.01], "starts": ["random="]}
    assert not ask(tmp_path, search_on="val", **several).halve
    other = make_coco(tmp_path, 2, seed=2)
    assert ask(tmp_path, search_on=str(other), **several).tune.annotations == other


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"starts": ["a=", "a="]}, r"its own name, got \['a', 'a'\]"),
        ({"starts": []}, "--start"),
        ({"seeds": 0}, "--seeds 0: expected at least 1"),
        ({"workers": 0}, "--workers 0"),
        ({"schedule": "linear"}, "--schedule linear: expected step or cosine"),
        ({"images": None}, "--images: give the folder of the images, or both --train-images and"),
        ({"images": None, "val_images": "nowhere"}, "--images: give the folder of the images, or both"),
        ({"val_images": "nowhere"}, "--val-images nowhere: there is no such folder"),
        ({"search_on": "nowhere.json", "lr": [1, 2]}, r"--search-on nowhere\.json: there is no such file"),
        ({"starts": {"x": "nowhere.pth"}}, r"--start x: there is no file nowhere\.pth"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ask(tmp_path, **options)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda coco: coco["annotations"].clear(), r"--val .*1\.json: not one box in it"),
        (
            lambda coco: coco["images"][2].update(file_name="gone.png"),
            r"--val .*1\.json: 1 of 4 images are not in .*images, such as gone\.png; .*--val-images",
        ),
        (
            lambda coco: coco["annotations"][3].pop("bbox"),
            r"1\.json: annotations\[3\] \(id 2005\) has no 'bbox'",
        ),
        (lambda coco: coco["images"][1].pop("id"), r"1\.json: images\[1\] has no 'id'"),
        (lambda coco: coco.pop("categories"), r"1\.json: its categories are \['5', '6'\]"),
        (lambda coco: coco["categories"].reverse(), r"1\.json: its categories are \['green', 'red'\]"),
    ],
)
def test_labels_that_cannot_serve_stop_before_any_run(tmp_path: Path, edit: Edit, message: str) -> None:
    asked = ask(tmp_path)
    coco = json.loads(asked.report.annotations.read_text())
    edit(coco)
    asked.report.annotations.write_text(json.dumps(coco))
    with pytest.raises(InputError, match=message):
        prepare(asked, Console(quiet=True))
    assert not (tmp_path / "work").exists()


def test_a_half_without_a_box_is_refused(tmp_path: Path) -> None:
    asked = ask(tmp_path, lr=[0.02, 0.01])
    coco = json.loads(asked.report.annotations.read_text())
    del coco["annotations"][2:]
    asked.report.annotations.write_text(json.dumps(coco))
    with pytest.raises(InputError, match="half of its images have no box; give --search-on val"):
        prepare(asked, Console(quiet=True))


def test_halves_are_cut_and_labels_drawn(tmp_path: Path) -> None:
    asked, planner = prepare(ask(tmp_path, lr=[0.02, 0.01]), Console(quiet=True))
    assert asked.tune.annotations.name == "1.tune.json"
    assert asked.report.annotations.name == "1.report.json"
    assert set(planner.labels) == {(100.0, 1), (100.0, 2), (100.0, 3)}
