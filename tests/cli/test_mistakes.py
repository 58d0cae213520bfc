"""Every mistake ends soon, in one line that names the thing, with exit status 2 and nothing written."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.cli.main import main
from aligndet.cli.overview import GROUPS

#: Short for long words.
SHORT = {
    "CONFIG": "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py",
    "COMPARE": "compare CONFIG --start random= --train labels.json --val labels.json --images images",
}

#: What is typed, and what the line that comes back names.
MISTAKES = """
proposals make  =>  the following arguments are required: IMAGES, OUT
proposals make nowhere store  =>  nowhere: no such file or folder
proposals make empty store  =>  empty: no image found
proposals make words.txt store  =>  words.txt: expected an image on each line
proposals make images words.txt/store  =>  words.txt is a file
proposals make images empty  =>  empty: exists and is no proposal store
proposals make images store --backend fats  =>  did you mean 'fast'
proposals make images store --over  =>  did you mean '--overwrite'
proposals make images store --wokers 1  =>  did you mean '--workers'
proposals make images store --workers -1  =>  --workers: expected a whole
proposals recall labels.json empty.json  =>  empty.json: the file is em
proposals recall labels.json half.json  =>  half.json
proposals recall a.png labels.json  =>  a.png
proposals recall labels.json labels.json --json out.txt  =>  out.txt: expected a name that ends in .json
proposals verify images  =>  images: no proposal store
proposals verify labels.json  =>  expected a folder, this is a fi
proposals convert gone.pkl store  =>  gone.pkl: no such file
proposals show labels.json look.gif --images images  =>  look.gif: expected a name that ends in .png
backbone convert a.png out.pth --config CONFIG  =>  got a picture
backbone convert words.txt out.pth --config CONFIG  =>  got a text
backbone convert empty.pth out.pth --config CONFIG  =>  is empty
backbone convert gone.pth out.pth --config CONFIG  =>  gone.pth: no
backbone convert weights.pth out.pth  =>  required: --config
backbone convert weights.pth out.pth --config d2.yaml  =>  detectron2
backbone convert weights.pth o.pth --config none.py  =>  backbone
show views broken.py o.png  =>  broken.py: line 1
show views none.py o.png  =>  train_dataloader
check d2.yaml  =>  it is for detectron2
check none.py  =>  none.py: the config has no model
export weights.pth out.pth  =>  weights.pth
export weights.pth out.png  =>  out.png: expected a name that ends
compare none.py --start random= --train labels.json --val labels.json --images images  =>  none.py
show views needs.py o.png  =>  no_such_module_at_all
check mmdet::retinanet/retinanet_r18_fpn_1x_coc.py  =>  did you mean 'retinanet/
check CONFIG --zoo  =>  CONFIG... or --zoo
COMPARE --lr 0  =>  --lr: expected a number above 0, got '0'
COMPARE --start weights.pth  =>  expected NAME=FILE
COMPARE --start a=a.png  =>  a.png: expected a checkpoint
compare CONFIG --start random= --train labels.json --val images --images images  =>  images: no labels in this
labels split labels.json out --percent 101  =>  expected percent in (0, 100]
labels split list.json out  =>  list.json
labels convert images out.json  =>  YOLO
labels check noboxes.json  =>  noboxes.json
show features CONFIG --train labels.json --val labels.json --images images  =>  give --weights
show curves images o.png  =>  has no vis_data/scalars.json
show views CONFIG o.png --cfg-options a  =>  expected KEY=VALUE, got 'a'
show views CONFIG o.png --import gone_module  =>  --import gone_module
proposals cluster labels.json o --images images --config CONFIG --device gpu  =>  cuda:N, got 'gpu'
"""


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


def typed(words: str) -> list[str]:
    """The words of a mistake, the short ones written out."""
    for short in ("COMPARE", "CONFIG"):
        words = re.sub(rf"\b{short}\b(?!\.\.)", SHORT[short], words)
    return words.split()


@pytest.mark.parametrize("mistake", MISTAKES.strip().splitlines())
def test_a_mistake_is_one_line(mistake: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, names = mistake.split("  =>  ")
    line = typed(words)
    command = " ".join(line[: 2 if line[0] in GROUPS else 1])
    began = time.monotonic()
    status = main(line)
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
    assert f"{place}/labels.json: COCO json: 1 boxes of 1 classes in 1 images" in capsys.readouterr().out


def test_a_pipe_as_labels_is_read_and_not_measured(place: Path) -> None:
    """A shell's <(command) is a file without a size."""
    from aligndet.cli.paths import file

    assert file("/dev/null") == Path("/dev/null")
