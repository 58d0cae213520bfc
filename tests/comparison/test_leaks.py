"""A comparison on images that runs are trained on is refused, or says so wherever it says its verdict."""

from __future__ import annotations

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from aligndet.common.console import Console
from aligndet.common.errors import InputError
from aligndet.comparison.inputs import check_images
from aligndet.comparison.leaks import guard
from aligndet.comparison.report import to_markdown
from aligndet.comparison.results import Arm, Results, notes_on
from aligndet.comparison.settings import EvalSet, Settings, Start
from aligndet.comparison.statistics import paired_difference
from tests.small_coco import make_coco


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Train and val of four images each in one folder; none is in both."""
    train, val = make_coco(tmp_path, 4, seed=1), make_coco(tmp_path, 4, seed=2)
    first, second = (EvalSet(labels, tmp_path / "images") for labels in (train, val))
    start = (Start("random"),)
    return Settings("x.py", start, first, second, second, tmp_path / "work", iters={100.0: 1}, lrs=(0.1,))


def test_sets_that_share_nothing_pass(settings: Settings) -> None:
    stream = io.StringIO()
    assert guard(settings, Console(stream=stream)) == settings
    assert stream.getvalue() == ""


def test_the_same_file_or_bytes_in_both_are_refused(settings: Settings) -> None:
    """By name where one entry is copied into the other labels, by content where a file is copied."""
    train, val = (json.loads(data.annotations.read_text()) for data in (settings.train, settings.report))
    folder = settings.train.images
    shutil.copy(folder / val["images"][2]["file_name"], folder / "copied.png")
    train["images"].append({**train["images"][0], "id": 77, "file_name": "copied.png"})
    train["images"].append({**val["images"][0], "id": 78})
    settings.train.annotations.write_text(json.dumps(train))
    message = (
        r"2 of the 4 images of --val .* in --train .*\(1 the same file, 1 the same bytes\).*--allow-leak"
    )
    with pytest.raises(InputError, match=message):
        guard(settings, Console(quiet=True))
    allowed = guard(replace(settings, allow_leak=True), Console(quiet=True))
    assert allowed.leak.startswith("2 of the 4 images of --val")


def test_one_file_for_both_is_told_and_not_refused(settings: Settings) -> None:
    same = replace(settings, report=settings.train, tune=settings.train)
    assert guard(same, Console(quiet=True)).leak.startswith("4 of the 4 images of --val")


def test_labels_to_choose_rates_on_are_held_against_the_training_too(settings: Settings) -> None:
    with pytest.raises(InputError, match="4 of the 4 images of --search-on"):
        guard(replace(settings, tune=replace(settings.train)), Console(quiet=True))


def test_how_labels_and_images_fit_is_said_and_refused(settings: Settings) -> None:
    """Labels of larger originals, put on shrunk images, never reach a run."""
    stream = io.StringIO()
    check_images(settings, Console(stream=stream))
    assert [line.split(": ")[1] for line in stream.getvalue().splitlines()] == [
        "4 images, all there, 4 files without an entry, sizes as labelled"
    ] * 2
    val = json.loads(settings.report.annotations.read_text())
    for image in val["images"]:
        image.update(width=128, height=128)
    settings.report.annotations.write_text(json.dumps(val))
    message = r"--val .*4 of 4 images have another size .* is 64x64 px, 128x128 in the labels.*--val-images"
    with pytest.raises(InputError, match=message):
        check_images(settings, Console(quiet=True))


def test_a_verdict_on_leaked_images_says_so(settings: Settings) -> None:
    difference = paired_difference([30.0, 31.0, 32.0], [20.0, 21.1, 22.0])
    arm = Arm("aligndet", 100.0, 0.1, False, {"AP": {0: 30.0}, "AP50": {}, "AP75": {}}, difference=difference)
    leaked = replace(settings, leak="2 of the 4 images of --val are also in --train")
    for given, verdict in ((settings, "helped"), (leaked, "helped (on leaked images)")):
        results = Results("random", (arm,), (), tuple(notes_on([arm], given)), leak=given.leak)
        data = results.to_json()
        assert data["arms"][0]["difference"]["verdict"] == verdict
        assert data["leak"] == given.leak
        assert re.search(rf"\| {re.escape(verdict)} +\|", to_markdown(results))
        assert ("says nothing about new images" in to_markdown(results)) == bool(given.leak)
