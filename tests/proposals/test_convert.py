"""``aligndet proposals convert``: every kind in, store or COCO json out, and merging."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from aligndet.proposals.formats import read_proposals
from aligndet.proposals.store import ProposalStore
from aligndet.proposals.store_writer import StoreWriter
from tests.command import command

main = command("proposals convert")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    cv2.imwrite(str(folder / "sub" / "1.png"), np.zeros((50, 60, 3), np.uint8))
    cv2.imwrite(str(folder / "2.png"), np.zeros((70, 80, 3), np.uint8))
    (folder / "bad.png").write_bytes(b"")
    return folder


def run(*arguments: object) -> int:
    return main([*map(str, arguments), "--workers", "0"])


def test_soco_needs_the_images_for_their_sizes(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soco = tmp_path / "soco.json"
    soco.write_text(json.dumps({"1": [[0, 0, 9, 9], [40, 40, 20, 10]], "2": [[5, 5, 4, 4]]}))
    assert run(soco, tmp_path / "out") == 2
    assert "--images" in capsys.readouterr().err
    assert run(soco, tmp_path / "out", "--images", images) == 0
    store = ProposalStore.open(tmp_path / "out")
    assert store.size(store.find("sub/1.png")) == (60, 50)
    assert store.boxes(store.find("sub/1.png")).tolist() == [[0, 0, 10, 10], [40, 40, 60, 50]]
    assert store.boxes(store.find("2.png")).tolist() == [[5, 5, 10, 10]]
    assert [row["file_name"] for row in store.skipped()] == []
    assert "1 images in" in capsys.readouterr().out, "bad.png has no boxes"


def test_an_mmdet_pickle_to_coco_json(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boxes = np.array([[0, 0, 10, 10, 0.25], [1, 1, 20, 20, 0.75]], np.float32)
    (tmp_path / "p.pkl").write_bytes(pickle.dumps({"sub/1.png": boxes}))
    assert run(tmp_path / "p.pkl", tmp_path / "out.json", "--images", images) == 0
    content = json.loads((tmp_path / "out.json").read_text())
    assert [row["bbox"] for row in content["annotations"]] == [[0, 0, 10, 10], [1, 1, 19, 19]]
    assert [row["score"] for row in content["annotations"]] == [0.25, 0.75]  # the order of the file
    assert [row["file_name"] for row in content["images"]] == ["sub/1.png"]
    assert f"2 images in {images} are not in {tmp_path / 'p.pkl'}" in capsys.readouterr().out


def test_clusters_and_ids_stay_with_their_boxes_on_images_of_another_size(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Boxes are scaled to the image, what falls out of it is dropped with its cluster and score."""
    source = tmp_path / "source"
    with StoreWriter(source, {"clusters": {"clusters": 5}}) as writer:
        boxes = np.array([[0, 0, 20, 20], [120, 100, 130, 110], [60, 50, 120, 100]])
        columns: Any = {"clusters": np.array([3, 1, 2]), "scores": np.array([0.75, 0.5, 0.25])}
        writer.append("sub/1.png", 77, (120, 100), boxes, **columns)
        writer.append("gone.png", 78, (120, 100), boxes, **columns)
    assert run(source, tmp_path / "out", "--images", images) == 0
    said = capsys.readouterr()
    assert (
        "sub/1.png: its boxes are for 120x100 px, the image is 60x50: brought to the image's size" in said.out
    )
    assert "1 of its 2 images are not there, such as gone.png" in said.err
    out = ProposalStore.open(tmp_path / "out")
    assert (len(out), out.image_ids.tolist(), out.num_clusters) == (1, [77], 5)
    assert out.boxes(0).tolist() == [[0, 0, 10, 10], [30, 25, 60, 50]]
    assert [out.column(name, 0).tolist() for name in ("clusters", "scores")] == [[3, 2], [0.75, 0.25]]  # type: ignore[union-attr]


def test_an_image_of_another_shape_is_left_out_and_all_of_them_are_refused(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, size in (("some", (60, 50)), ("none", (50, 60))):
        with StoreWriter(tmp_path / name) as writer:
            writer.append("sub/1.png", 1, size, np.array([[0, 0, 20, 20]]))
            writer.append("2.png", 2, (100, 10), np.array([[0, 0, 20, 5]]))
    assert run(tmp_path / "some", tmp_path / "out", "--images", images) == 0
    assert "2.png: its boxes are for 100x10 px, the image is 80x70" in capsys.readouterr().out
    assert run(tmp_path / "none", tmp_path / "other", "--images", images) == 2
    assert "none of the 2 images" in capsys.readouterr().err


def store(path: Path, names: list[str], first_id: int = 1) -> ProposalStore:
    with StoreWriter(path, {"from": path.name}) as writer:
        for number, name in enumerate(names):
            boxes = np.array([[0, 0, 10 + number, 20]])
            writer.append(name, first_id + number, (90, 90), boxes, scores=np.array([number]))
        writer.skip(f"bad in {path.name}", "empty")
    return ProposalStore.open(path)


def test_store_to_json_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = store(tmp_path / "one", ["a", "b"])
    assert run(tmp_path / "one", tmp_path / "one.json") == 0
    assert "2 proposals in 2 images" in capsys.readouterr().out
    assert run(tmp_path / "one.json", tmp_path / "again") == 0
    again = ProposalStore.open(tmp_path / "again")
    for name, column in one.columns.items():
        np.testing.assert_array_equal(again.columns[name], column)


def test_merging_keeps_order_and_numbers_clashing_ids_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = store(tmp_path / "one", ["a", "b"], 5), store(tmp_path / "two", ["c", "d"], 6)
    assert run(tmp_path / "one", tmp_path / "two", tmp_path / "both") == 0
    both = read_proposals(tmp_path / "both")
    assert [both.file_name(i) for i in range(4)] == ["a", "b", "c", "d"]
    assert both.image_ids.tolist() == [1, 2, 3, 4]
    for place, part in ((0, one), (2, two)):
        np.testing.assert_array_equal(both.boxes(place + 1), part.boxes(1))
    assert both.columns["scores"].tolist() == [0, 1, 0, 1]
    assert [row["file_name"] for row in both.skipped()] == ["bad in one", "bad in two"]
    store(tmp_path / "three", ["e"], 60)
    assert run(tmp_path / "three", tmp_path / "one", tmp_path / "apart") == 0
    assert read_proposals(tmp_path / "apart").image_ids.tolist() == [60, 5, 6]
    capsys.readouterr()
    assert run(tmp_path / "one", tmp_path / "one", tmp_path / "twice") == 2
    assert "image a is in" in capsys.readouterr().err
    assert run(tmp_path / "one", tmp_path / "two", tmp_path / "both.json") == 2
    assert "merge into a store first" in capsys.readouterr().err
    assert not (tmp_path / "twice").exists()


def test_boxes_that_are_none_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = {
        "images": [{"id": 1, "file_name": "a", "width": 50, "height": 50}],
        "annotations": [{"id": i, "image_id": 1, "bbox": [i, 0, 20 * i, 9]} for i in range(3)],
    }
    (tmp_path / "x.json").write_text(json.dumps(content))
    assert run(tmp_path / "x.json", tmp_path / "out") == 0
    assert "1 boxes left out" in capsys.readouterr().out
    assert ProposalStore.open(tmp_path / "out").num_boxes == 2


def test_a_missing_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "none.json", tmp_path / "out") == 2
    assert "none.json: no such file" in capsys.readouterr().err
