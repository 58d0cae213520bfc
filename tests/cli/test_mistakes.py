"""Every mistake ends soon, in one line that names the thing, with exit status 2 and nothing written."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.cli.main import main

CONFIG = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"
COMPARE = "compare {config} --start random= --train labels.json --val labels.json --images images"

#: What is typed, the command that the line begins with, and what the line names.
MISTAKES = {
    "no words": ("proposals make", "proposals make", "the following arguments are required: IMAGES, OUT"),
    "missing folder": ("proposals make nowhere store", "proposals make", "nowhere: no such file or folder"),
    "folder without images": ("proposals make empty store", "proposals make", "empty: no image found"),
    "text for a json": (
        "proposals make words.txt store",
        "proposals make",
        "words.txt: expected an image on each line",
    ),
    "parent is a file": ("proposals make images words.txt/store", "proposals make", "words.txt is a file"),
    "not a store": (
        "proposals make images empty",
        "proposals make",
        "empty: exists and is no proposal store",
    ),
    "unknown backend": (
        "proposals make images store --backend fats",
        "proposals make",
        "did you mean 'fast'",
    ),
    "abbreviation": ("proposals make images store --over", "proposals make", "did you mean '--overwrite'"),
    "typo": ("proposals make images store --wokers 1", "proposals make", "did you mean '--workers'"),
    "negative": ("proposals make images store --workers -1", "proposals make", "--workers: expected a whole"),
    "empty labels": (
        "proposals recall labels.json empty.json",
        "proposals recall",
        "empty.json: the file is em",
    ),
    "half a json": ("proposals recall labels.json half.json", "proposals recall", "half.json"),
    "picture as proposals": ("proposals recall a.png labels.json", "proposals recall", "a.png"),
    "not a json name": (
        "proposals recall labels.json labels.json --json out.txt",
        "proposals recall",
        "out.txt: expected a name that ends in .json",
    ),
    "folder is no store": ("proposals verify images", "proposals verify", "images: no proposal store"),
    "file is no store": (
        "proposals verify labels.json",
        "proposals verify",
        "expected a folder, this is a fi",
    ),
    "no such source": ("proposals convert gone.pkl store", "proposals convert", "gone.pkl: no such file"),
    "not a picture": (
        "proposals show labels.json look.gif --images images",
        "proposals show",
        "look.gif: expected a name that ends in .png",
    ),
    "image as weights": (
        f"backbone convert a.png out.pth --config {CONFIG}",
        "backbone convert",
        "got a picture",
    ),
    "text as weights": (
        f"backbone convert words.txt out.pth --config {CONFIG}",
        "backbone convert",
        "got a text",
    ),
    "empty weights": (
        f"backbone convert empty.pth out.pth --config {CONFIG}",
        "backbone convert",
        "is empty",
    ),
    "no such weights": (
        f"backbone convert gone.pth out.pth --config {CONFIG}",
        "backbone convert",
        "gone.pth: no",
    ),
    "no config": ("backbone convert weights.pth out.pth", "backbone convert", "required: --config"),
    "detectron2's config": (
        "backbone convert weights.pth out.pth --config d2.yaml",
        "backbone convert",
        "detectron2",
    ),
    "config without a model": (
        "backbone convert weights.pth o.pth --config none.py",
        "backbone convert",
        "backbone",
    ),
    "config that is no Python": ("show views broken.py o.png", "show views", "broken.py: line 1"),
    "config that trains on nothing": ("show views none.py o.png", "show views", "train_dataloader"),
    "check of detectron2's config": ("check d2.yaml", "check", "it is for detectron2"),
    "check without a model": ("check none.py", "check", "none.py: it has no model"),
    "export of no checkpoint": ("export weights.pth out.pth", "export", "weights.pth"),
    "export to a picture": (
        "export weights.pth out.png",
        "export",
        "out.png: expected a name that ends",
    ),
    "fine-tuning without a model": (COMPARE.replace("{config}", "none.py"), "compare", "none.py"),
    "config of a missing module": ("show views needs.py o.png", "show views", "no_such_module_at_all"),
    "no such config": (
        "check mmdet::retinanet/retinanet_r18_fpn_1x_coc.py",
        "check",
        "did you mean 'retinanet/",
    ),
    "config and zoo": (f"check {CONFIG} --zoo", "check", "CONFIG... or --zoo"),
    "no value": (f"{COMPARE} --lr 0", "compare", "--lr: expected a number above 0, got '0'"),
    "start without a name": (f"{COMPARE} --start weights.pth", "compare", "expected NAME=FILE"),
    "start that is a picture": (f"{COMPARE} --start a=a.png", "compare", "a.png: expected a checkpoint"),
    "labels in a folder": (
        COMPARE.replace("--val labels.json", "--val images"),
        "compare",
        "images: expected a file",
    ),
    "percent": ("labels split labels.json out --percent 101", "labels split", "expected percent in (0, 100]"),
    "labels that are a list": ("labels split list.json out", "labels split", "list.json"),
    "labels of another kind": ("labels convert images out.json", "labels convert", "YOLO"),
    "labels without a box": ("labels check noboxes.json", "labels check", "noboxes.json"),
    "nothing to ask": (
        f"show features {CONFIG} --train labels.json --val labels.json --images images",
        "show features",
        "give --weights, --random, or both",
    ),
    "no run": ("show curves images o.png", "show curves", "has no vis_data/scalars.json"),
    "cfg option": (f"show views {CONFIG} o.png --cfg-options a", "show views", "expected KEY=VALUE, got 'a'"),
    "module": (f"show views {CONFIG} o.png --import gone_module", "show views", "--import gone_module"),
    "device": (
        f"proposals cluster labels.json o --images images --config {CONFIG} --device gpu",
        "proposals cluster",
        "expected cpu, mps, cuda or cuda:N, got 'gpu'",
    ),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with good files and bad ones."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "images").mkdir()
    (folder / "empty").mkdir()
    cv2.imwrite(str(folder / "images" / "a.png"), np.zeros((40, 60, 3), np.uint8))
    cv2.imwrite(str(folder / "a.png"), np.zeros((40, 60, 3), np.uint8))
    labels = {
        "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 0}
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    texts = {
        "labels.json": json.dumps(labels),
        "half.json": json.dumps(labels)[:60],
        "list.json": "[1, 2]",
        "noboxes.json": json.dumps({key: value for key, value in labels.items() if key != "annotations"}),
        "empty.json": "",
        "empty.pth": "",
        "words.txt": "some words\n",
        "d2.yaml": "MODEL:\n  WEIGHTS: x.pkl\n",
        "none.py": "lr = 0.1\n",
        "broken.py": "model = dict(\n",
        "needs.py": "custom_imports = dict(imports=['no_such_module_at_all'])\nmodel = dict(type='X')\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "weights.pth").write_bytes(b"PK\x03\x04\x00\x00")
    return folder


@pytest.fixture(autouse=True)
def _in_the_users_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(place)
    before = sorted(path for path in place.rglob("*") if "__pycache__" not in path.parts)
    yield
    assert sorted(path for path in place.rglob("*") if "__pycache__" not in path.parts) == before


@pytest.mark.parametrize(("line", "command", "names"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line(
    line: str, command: str, names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    status = main(line.format(config=CONFIG).split())
    said = capsys.readouterr()
    lines = said.err.strip().splitlines()
    assert status == 2, said.err
    assert len(lines) == 1, said.err
    assert lines[0].startswith(f"aligndet {command}: ")
    assert names in lines[0]
    assert len(lines[0]) < 600
    assert time.monotonic() - began < 60  # the first loads mmdet; a process has 20 s for it


def test_a_quoted_home_is_expanded(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(place))
    assert main(["labels", "check", "~/labels.json"]) == 0
    assert f"{place}/labels.json: 1 boxes of 1 classes in 1 images" in capsys.readouterr().out


def test_a_pipe_as_labels_is_read_and_not_measured(place: Path) -> None:
    """A shell's <(command) is a file without a size."""
    from aligndet.cli.paths import file

    assert file("/dev/null") == Path("/dev/null")
