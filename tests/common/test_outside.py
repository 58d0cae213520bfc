"""Names that lead out of the folder of images are refused by whoever reads labels, lists or proposals."""

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from aligndet.cli.main import main
from aligndet.common.errors import InputError
from aligndet.common.images import list_images
from aligndet.common.images.outside import allowing_outside, is_outside, outside_allowed
from aligndet.common.labels.reader import inspect_labels, read_labels
from aligndet.proposals.looked_at import look_at_images
from aligndet.proposals.store import ProposalStore
from aligndet.proposals.store_writer import StoreWriter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images in ``photos/``, a secret one beside it, and links in it of its owner's making."""
    for name in ("photos/a.png", "photos/deep/b.png", "photos-secret/c.png", "secret.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.zeros((20, 30, 3), np.uint8))
    (tmp_path / "photos" / "link").symlink_to(tmp_path / "photos-secret")
    (tmp_path / "photos" / "link.png").symlink_to(tmp_path / "secret.png")
    return tmp_path / "photos"


CASES = {
    "a.png": False,
    "deep/../a.png": False,
    "./deep//b.png": False,
    "two..dots.png": False,
    "link/c.png": False,
    "link.png": False,
    "{folder}/a.png": False,
    "{folder}/link.png": False,
    "../photos/a.png": False,
    "../secret.png": True,
    "..\\secret.png": True,
    "deep/../../secret.png": True,
    "link/../secret.png": True,
    "{folder}/../secret.png": True,
    "{folder}-secret/c.png": True,
    "/etc/passwd": True,
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_outside(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    full = name.format(folder=folder)
    assert is_outside(full, folder) == CASES[name]
    monkeypatch.chdir(folder.parent)
    assert is_outside(full, Path("photos")) == CASES[name]
    os.symlink(folder, folder.parent / "other")
    if not name.startswith("{"):
        assert is_outside(full, folder.parent / "other") == CASES[name]


def coco(folder: Path, name: str, **size: int) -> Path:
    content: dict[str, Any] = {
        "images": [
            {"id": 1, "file_name": "a.png", "width": 30, "height": 20},
            {"id": 2, "file_name": name, **size},
        ],
        "annotations": [
            {"id": 1, "image_id": 2, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0}
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    path = folder.parent / "labels.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("size", [{"width": 30, "height": 20}, {}])
def test_labels(folder: Path, size: dict[str, int]) -> None:
    path = coco(folder, "../secret.png", **size)
    expected = (
        r"labels.json: images\[1\] has 'file_name' ../secret.png, outside of .*photos; .*--allow-outside"
    )
    with pytest.raises(InputError, match=expected):
        read_labels(path, folder)
    if not size:  # nor is it opened, to see how large it is
        assert inspect_labels(path, folder).sizes.tolist() == [[30, 20], [-1, -1]]
    with allowing_outside():
        assert read_labels(path, folder).sizes.tolist() == [[30, 20], [30, 20]]
    assert read_labels(coco(folder, "deep/b.png", **size), folder).names == ["a.png", "deep/b.png"]


def test_yolo(folder: Path) -> None:
    (folder.parent / "list.txt").write_text("photos/a.png\nsecret.png\n")
    with pytest.raises(InputError, match=r"secret.png is not below .*photos"):
        read_labels(folder.parent / "list.txt", folder)
    with allowing_outside():
        assert read_labels(folder.parent / "list.txt", folder).names == ["a.png", "../secret.png"]


def test_images_of_a_json_or_a_list(folder: Path) -> None:
    listed = folder.parent / "list.txt"
    listed.write_text("a.png\n../secret.png\n")
    path = coco(folder, "../secret.png")
    with pytest.raises(
        InputError, match=r"labels.json: image ../secret.png \(entry 1\) lies outside of .*photos"
    ):
        list_images(path, folder)
    with pytest.raises(InputError, match=r"list.txt, line 2: ../secret.png is not below .*--allow-outside"):
        list_images(listed, folder)
    with allowing_outside():
        for source in (path, listed):
            assert [entry.file_name for entry in list_images(source, folder)[0]] == ["a.png", "../secret.png"]


def test_proposals(folder: Path) -> None:
    with StoreWriter(folder.parent / "store") as writer:
        for number, name in enumerate(("a.png", str(folder.parent / "secret.png")), start=1):
            writer.append(name, number, (30, 20), np.array([[1, 1, 9, 9]]))
    store = ProposalStore.open(folder.parent / "store")
    rows = np.arange(2)
    with pytest.raises(InputError, match=r"store: image .*secret.png \(entry 1\) lies outside of .*photos"):
        look_at_images(store, rows, folder)
    with allowing_outside():
        assert look_at_images(store, rows, folder).count == 2
    assert look_at_images(store, rows[:1], folder).count == 1


def test_the_option_of_the_commands(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = coco(folder, "../secret.png", width=30, height=20), folder.parent / "store"
    for command in (
        ["labels", "check", str(path), "--images", str(folder)],
        ["proposals", "make", str(path), str(out), "--images", str(folder), "--backend=grid", "--workers=0"],
    ):
        assert main(command) == 2
        assert "--allow-outside" in capsys.readouterr().err.splitlines()[-1]
        assert main([*command, "--allow-outside"]) == 0
    assert not outside_allowed()
    assert ProposalStore.open(out).file_name(1) == "../secret.png"
