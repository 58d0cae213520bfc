"""Proposal files of every kind read into the same columns; wrong ones are named."""

from __future__ import annotations

import json
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aligndet.common import json_stream
from aligndet.common.errors import InputError
from aligndet.common.json_stream import stream_object
from aligndet.proposals import formats
from aligndet.proposals.coco import write_coco
from aligndet.proposals.formats import read_proposals
from aligndet.proposals.store import ProposalStore
from aligndet.proposals.store_writer import StoreWriter

IMAGES = [
    {"id": 9, "file_name": "b/1.jpg", "width": 100, "height": 80},
    {"id": 4, "file_name": "2.jpg", "width": 60, "height": 50},
    {"id": 6, "file_name": "3.jpg", "width": 60, "height": 50},
]


def annotation(image: int, box: list[float], **more: Any) -> dict[str, Any]:
    return {"image_id": image, "bbox": box, "category_id": 1, "iscrowd": 0, "area": 1, **more}


def coco(annotations: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    rows = [{"id": number, **row} for number, row in enumerate(annotations, start=1)]
    return {"images": IMAGES, "annotations": rows, "categories": [{"id": 1, "name": "proposal"}], **more}


def save(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("block", [1, 3, 64, 1 << 20])
def test_stream_gives_what_json_gives_at_any_block_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    content = {
        "a": [1, -2.5e3, "x,]}", {"k": [1, {"deep": None}]}, [], True],
        "empty": [],
        "number": 123456,
        "object": {"list": [1, 2], "ü": '\\u00fc"\\'},
        "last": [12345, 678],
    }
    monkeypatch.setattr(json_stream, "BLOCK", block)
    for indent in (None, 2):
        path = tmp_path / "x.json"
        path.write_text(json.dumps(content, indent=indent) + "\n")
        got: dict[str, Any] = {"empty": []}
        for key, value in stream_object(path):
            if isinstance(content[key], list):
                got.setdefault(key, []).append(value)
            else:
                got[key] = value
        assert got == content
    path.write_text("{}")
    assert list(stream_object(path)) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("[1]", "expected a json object"),
        ('{"a" 1}', "expected ':'"),
        ('{"a": [1, 2', "ends in the middle"),
        ('{"a": [1 2]}', "expected one of ] ,"),
        ('{"a": nope}', "not valid json"),
        ('{"a": {"b": 1', "not valid json"),
    ],
)
def test_broken_json_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"broken\.json") as caught:
        list(stream_object(path))
    assert message in str(caught.value)


def test_reading_a_json_does_not_hold_it_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "big.json"
    rows = ",".join(json.dumps(annotation(9, [1.5, 2, 30, 40], pad="x" * 400)) for _ in range(20_000))
    path.write_text(f'{{"images":{json.dumps(IMAGES)},"annotations":[{rows}]}}')
    assert path.stat().st_size > 9e6
    tracemalloc.start()
    store = read_proposals(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert store.num_boxes == 20_000
    assert peak < 8e6  # the text alone has 10 MB


def test_coco_boxes_in_any_order_lie_under_their_image(tmp_path: Path) -> None:
    rows = [
        annotation(4, [1, 2, 10, 20], score=0.25),
        annotation(9, [5.5, 6, 7, 8]),
        annotation(4, [3, 4, 30, 10], score=0.75),
    ]
    store = read_proposals(save(tmp_path / "x.json", coco(rows, info={"note": 1})))
    assert store.counts.tolist() == [1, 2, 0]
    assert store.boxes(0).tolist() == [[5.5, 6, 12.5, 14]]
    assert store.boxes(1).tolist() == [[1, 2, 11, 22], [3, 4, 33, 14]]
    assert np.isnan(store.columns["scores"][0])
    assert store.columns["scores"][1:].tolist() == [0.25, 0.75]
    assert (store.size(0), store.image_ids.tolist(), store.find("2.jpg")) == ((100, 80), [9, 4, 6], 1)
    assert (store.num_clusters, store.info) == (0, {"note": 1})


def test_what_is_no_box_is_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        annotation(4, [1, 2, 10, 20]),
        annotation(4, [1, 2, 10, 20], iscrowd=1),
        annotation(4, [1, 2, 10, 20], ignore=True),
        annotation(4, [1, 2, 0.5, 20]),
        annotation(4, [60, 2, 10, 20]),
        annotation(4, [-20, 2, 20, 20]),
        annotation(4, [float("nan"), 2, 20, 20]),
        annotation(4, [-5, -5, 20, 20]),
    ]
    store = read_proposals(save(tmp_path / "x.json", coco(rows)))
    assert store.boxes(1).tolist() == [[1, 2, 11, 22], [-5, -5, 15, 15]]
    assert store.info["boxes_left_out"] == 4


def test_categories_become_clusters_in_the_file_s_order(tmp_path: Path) -> None:
    rows = [annotation(4, [1, 2, 10, 20], category_id=n) for n in (7, 3, 7, 5)]
    kinds = [{"id": n, "name": f"kind {n}"} for n in (5, 7, 3)]
    store = read_proposals(save(tmp_path / "x.json", coco(rows, categories=kinds)))
    assert store.columns["clusters"].tolist() == [1, 2, 1, 0]
    assert store.num_clusters == 3
    assert store.info["clusters"]["names"] == ["kind 5", "kind 7", "kind 3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (coco([annotation(77, [1, 1, 5, 5])]), "names image 77, which is not in 'images'"),
        (coco([annotation(4, [1, 1, 5])]), "has 'bbox' [1, 1, 5]; expected"),
        (
            coco([annotation(4, [1, 1, 5, 5], category_id=3)], categories=[{"id": 1}, {"id": 2}]),
            "category_id",
        ),
        ({"images": [{"id": 1}], "annotations": []}, "images[0] (id 1) has no 'file_name'"),
        (
            {"images": [IMAGES[0], {**IMAGES[0], "file_name": "other.jpg"}], "annotations": []},
            "ids are not unique",
        ),
        ({"annotations": [annotation(4, [1, 1, 5, 5])]}, "a list under 'images'"),
        ({"words": "only"}, "no list of images or boxes"),
        ({"a.jpg": [[1, 2, 3]]}, "expected a list of rectangles"),
    ],
)
def test_wrong_content_is_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(InputError, match=r"wrong\.json") as caught:
        read_proposals(save(tmp_path / "wrong.json", content))
    assert message in str(caught.value)


def test_soco_rectangles_end_at_their_last_pixel(tmp_path: Path) -> None:
    content = {"n01_1": [[0, 0, 29, 19], [5, 5, 9, 9]], "n01_2": [[1, 1, 3, 3]]}
    store = read_proposals(save(tmp_path / "train_ratio3size0308post.json", content))
    assert [store.file_name(i) for i in range(2)] == ["n01_1", "n01_2"]
    assert store.boxes(0).tolist() == [[0, 0, 30, 20], [5, 5, 15, 15]]
    assert store.boxes(1).tolist() == [[1, 1, 5, 5]]
    assert (store.sizes == -1).all()
    assert "scores" not in store.columns


def pickled(path: Path, content: Any) -> Path:
    path.write_bytes(pickle.dumps(content))
    return path


def test_mmdet_3_pickles_with_instance_data(tmp_path: Path) -> None:
    structures = pytest.importorskip("mmengine.structures")
    data = structures.InstanceData()
    data.bboxes = np.array([[0, 0, 10, 10], [5, 5, 9, 30]], np.float32)
    data.scores = np.array([0.9, 0.1], np.float32)
    empty = {"bboxes": np.zeros((0, 4)), "scores": np.zeros(0)}
    store = read_proposals(pickled(tmp_path / "p.pkl", {"val/1.jpg": data, "val/2.jpg": empty}))
    assert store.boxes(store.find("val/1.jpg")).tolist() == [[0, 0, 10, 10], [5, 5, 9, 30]]
    np.testing.assert_allclose(store.columns["scores"], [0.9, 0.1])
    assert store.counts.tolist() == [2, 0]


def test_mmdet_2_lists_need_the_order_of_the_images(tmp_path: Path) -> None:
    content = [np.array([[0, 0, 10, 10, 0.5]]), np.zeros((0, 5)), np.array([[1, 1, 4, 4, 0.25]])]
    path = pickled(tmp_path / "p.pkl", content)
    with pytest.raises(InputError, match=r"list of 3 entries without names; give the COCO json"):
        read_proposals(path)
    order = save(tmp_path / "set.json", {"images": IMAGES})
    store = read_proposals(path, order)
    assert [store.file_name(i) for i in range(3)] == ["b/1.jpg", "2.jpg", "3.jpg"]
    assert store.boxes(2).tolist() == [[1, 1, 4, 4]]
    with pytest.raises(InputError, match=r"a list of 2 entries, but .*set\.json has 3 images"):
        read_proposals(pickled(tmp_path / "q.pkl", content[:2]), order)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("boom",)


def test_a_pickle_cannot_run_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"holds a builtins\.print; expected numpy arrays"):
        read_proposals(pickled(tmp_path / "p.pkl", {"a": Bomb()}))
    assert "boom" not in capsys.readouterr().out
    with pytest.raises(InputError, match="expected a dictionary or list"):
        read_proposals(pickled(tmp_path / "p.pkl", 3))
    with pytest.raises(InputError, match=r"p\.pkl: a: boxes of shape \(2, 3\)"):
        read_proposals(pickled(tmp_path / "p.pkl", {"a": np.zeros((2, 3))}))


def test_a_missing_or_unknown_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a proposal store"):
        read_proposals(tmp_path / "nowhere")
    (tmp_path / "photo.jpg").write_bytes(bytes([0xFF, 0xD8, 0xFF, 0xE0]))
    with pytest.raises(InputError, match="not a text file"):
        read_proposals(tmp_path / "photo.jpg")


def test_export_and_import_give_the_same_store(tmp_path: Path) -> None:
    info = {"backend": "x", "clusters": {"clusters": 3}}
    with StoreWriter(tmp_path / "s", info) as writer:
        boxes = np.array([[0, 0, 10.25, 10], [1, 2, 33, 44]])
        writer.append("ü.jpg", 5, (60, 50), boxes, scores=np.array([0.5, 0.25]), clusters=np.array([2, 0]))
        writer.append("b.jpg", 3, (9, 9), np.zeros((0, 4)))
        writer.skip("bad.jpg", "empty")
    store = ProposalStore.open(tmp_path / "s")
    write_coco(store, tmp_path / "x.json")
    content = json.loads((tmp_path / "x.json").read_text())
    assert content["annotations"][0] == {
        "id": 1,
        "image_id": 5,
        "bbox": [0, 0, 10.25, 10],
        "area": 102.5,
        "iscrowd": 0,
        "category_id": 3,
        "score": 0.5,
    }
    assert [row["name"] for row in content["categories"]] == ["cluster_0", "cluster_1", "cluster_2"]
    assert content["info"]["skipped"] == [{"file_name": "bad.jpg", "reason": "empty"}]
    again = read_proposals(tmp_path / "x.json")
    for name, column in store.columns.items():
        np.testing.assert_array_equal(again.columns[name], column, name)
    assert list(again.skipped()) == list(store.skipped())
    assert again.num_clusters == 3
    back = read_proposals(tmp_path / "x.json")
    np.testing.assert_array_equal(back.boxes(back.find("ü.jpg")), boxes)


def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    store = read_proposals(save(tmp_path / "soco.json", {"a": [[1, 2, 3, 4]]}))
    with pytest.raises(InputError, match=r"size of image a is not known.*--images"):
        write_coco(store, tmp_path / "x.json")
    assert [path.name for path in tmp_path.iterdir()] == ["soco.json"]


def test_a_new_format_is_one_reader_and_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of a name and a box, told by the ending of their file."""

    def read_lines(path: Path, order: object) -> ProposalStore:
        words = path.read_text().split()
        return read_proposals(
            save(tmp_path / "as_soco.json", {words[0]: [[int(word) for word in words[1:]]]})
        )

    kind = formats.Format("lines of boxes", lambda path: path.suffix == ".boxes", read_lines)
    monkeypatch.setattr(formats, "FORMATS", [kind, *formats.FORMATS])
    (tmp_path / "x.boxes").write_text("a.jpg 1 2 3 4")
    assert read_proposals(tmp_path / "x.boxes").boxes(0).tolist() == [[1, 2, 5, 7]]
    with pytest.raises(InputError, match=r"expected lines of boxes, a proposal store \(folder\)"):
        read_proposals(tmp_path / "nowhere")
