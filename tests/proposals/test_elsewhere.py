"""Files of other projects are read by what they hold, and refused by it: detectron2, mmdet, COCO, SAM."""

from __future__ import annotations

import json
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.proposals.backends import MisfitError
from aligndet.proposals.backends.file import fitted
from aligndet.proposals.formats import read_proposals
from aligndet.proposals.names import rows_of
from aligndet.proposals.store import ProposalStore

IMAGES = [
    {"id": 9, "file_name": "b/1.jpg", "width": 100, "height": 80},
    {"id": "4", "file_name": "2.jpg", "width": 60, "height": 50},
]
CLASSES = [{"id": 3, "name": "cat"}, {"id": 8, "name": "dog"}]
BOXES = [np.array([[1, 2, 11, 22], [0, 0, 5, 5]], np.float32), np.array([[7, 7, 9, 9]], np.float32)]
SCORES = [np.array([0.25, 0.75]), np.array([-3.0])]


def save(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def pickled(path: Path, content: Any) -> Path:
    path.write_bytes(pickle.dumps(content))
    return path


@pytest.fixture
def order(tmp_path: Path) -> Path:
    return save(tmp_path / "order.json", {"images": IMAGES, "categories": CLASSES})


def table(store: ProposalStore) -> dict[str, list[list[float]]]:
    """Boxes with their scores by name."""
    found = {}
    for image in range(len(store)):
        scores = store.column("scores", image)
        parts = [store.boxes(image)] if scores is None else [store.boxes(image), scores[:, None]]
        found[store.file_name(image)] = np.concatenate(parts, axis=1).tolist()
    return found


def test_detectron2_s_proposals_by_the_ids_of_their_images(tmp_path: Path, order: Path) -> None:
    """Best first, in the json's order, with its sizes; without the json nobody knows the names."""
    content = {"boxes": BOXES, "objectness_logits": SCORES, "ids": [9, np.int64(4)], "bbox_mode": 0}
    expected = {"b/1.jpg": [[0, 0, 5, 5, 0.75], [1, 2, 11, 22, 0.25]], "2.jpg": [[7, 7, 9, 9, -3]]}
    store = read_proposals(pickled(tmp_path / "p.pkl", content), order)
    assert table(store) == expected
    assert store.sizes.tolist() == [[100, 80], [60, 50]]
    old = {"boxes": BOXES[::-1], "scores": SCORES[::-1], "indexes": ["4", 9]}
    assert table(read_proposals(pickled(tmp_path / "old.bin", old), order)) == expected
    names = {**content, "ids": ["x.jpg", "y.jpg"]}
    assert list(table(read_proposals(pickled(tmp_path / "n.pkl", names)))) == ["x.jpg", "y.jpg"]
    with pytest.raises(InputError, match=r"p\.pkl: names its 2 images by id; give the COCO json"):
        read_proposals(tmp_path / "p.pkl")
    for change, message in (
        ({"ids": [9]}, "1 ids, 2 boxes and 2 scores"),
        ({"ids": [9, 77]}, "id 77, which is not in"),
        ({"bbox_mode": 4}, "'bbox_mode' 4; expected 0"),
        ({"boxes": [BOXES[0], "none"]}, r"boxes\[1\]: boxes that are no numbers"),
        ({"objectness_logits": [SCORES[0], SCORES[0]]}, r"boxes\[1\]: 1 boxes but 2 scores"),
    ):
        with pytest.raises(InputError, match=message):
            read_proposals(pickled(tmp_path / "bad.pkl", {**content, **change}), order)


def test_detectron2_s_box_mode_is_obeyed_though_detectron2_is_not_there(tmp_path: Path, order: Path) -> None:
    package, module = (
        types.ModuleType("detectron2.structures"),
        types.ModuleType("detectron2.structures.boxes"),
    )
    reduced = {"__module__": module.__name__, "__reduce__": lambda mode: (type(mode), (int(mode),))}
    kind = type("BoxMode", (int,), reduced)
    module.BoxMode = kind  # type: ignore[attr-defined]
    sys.modules.update({"detectron2": package, package.__name__: package, module.__name__: module})
    try:
        data = pickle.dumps({"boxes": BOXES, "ids": [9, 4], "bbox_mode": kind(1)})
    finally:
        for name in ("detectron2", package.__name__, module.__name__):
            del sys.modules[name]
    (tmp_path / "p.pkl").write_bytes(data)
    store = read_proposals(tmp_path / "p.pkl", order)
    assert store.boxes(0).tolist() == [[1, 2, 12, 24], [0, 0, 5, 5]]


def test_mmdet_s_results_of_classes_and_of_instances(tmp_path: Path, order: Path) -> None:
    """2.x: a list of classes for each image, maybe with masks; 3.x: dictionaries with the image's path."""
    classes = [np.array([[0, 0, 5, 5, 0.5]]), np.array([[1, 1, 9, 9, 0.75], [2, 2, 4, 4, 0.25]])]
    content = [classes, ([np.zeros((0, 5)), np.array([[7, 7, 9, 9, 0.5]])], "masks")]
    store = read_proposals(pickled(tmp_path / "results.pkl", content), order)
    assert table(store) == {
        "b/1.jpg": [[1, 1, 9, 9, 0.75], [0, 0, 5, 5, 0.5], [2, 2, 4, 4, 0.25]],
        "2.jpg": [[7, 7, 9, 9, 0.5]],
    }
    found = {"bboxes": BOXES[1], "scores": np.array([0.5]), "labels": np.array([3])}
    dumped = [{"img_path": "a/x.jpg", "img_id": 1, "pred_instances": found}]
    assert table(read_proposals(pickled(tmp_path / "r3.pkl", dumped))) == {"a/x.jpg": [[7, 7, 9, 9, 0.5]]}


def test_a_list_of_coco_results(tmp_path: Path, order: Path) -> None:
    """Ids as numbers or text; classes become clusters that stay with their boxes; best first."""
    rows = [
        {"image_id": "9", "bbox": [0, 0, 5, 5], "score": 0.25, "category_id": 8},
        {"image_id": 4, "bbox": [7, 7, 2, 2], "score": 0.5, "category_id": 3},
        {"image_id": 9, "bbox": [1, 2, 10, 20], "score": 0.75, "category_id": 3},
    ]
    path = save(tmp_path / "bbox.json", rows)
    store = read_proposals(path, order)
    assert table(store) == {
        "b/1.jpg": [[1, 2, 11, 22, 0.75], [0, 0, 5, 5, 0.25]],
        "2.jpg": [[7, 7, 9, 9, 0.5]],
    }
    assert [store.column("clusters", image).tolist() for image in range(2)] == [[0, 1], [0]]  # type: ignore[union-attr]
    assert store.info["clusters"]["names"] == ["cat", "dog"]
    with pytest.raises(InputError, match=r"bbox\.json: a list of results, .*give the COCO json .*--order"):
        read_proposals(path)
    for bad, message in (
        ([{"image_id": 5, "bbox": [0, 0, 1, 1]}], "id 5, which is not in"),
        ([{"image_id": [5], "bbox": [0, 0, 1, 1]}], r"id \[5\], which is not in"),
        ([{"image_id": 9, "bbox": [0, 0, "x", 1]}], r"entry 0 has 'bbox' \[0, 0, 'x', 1\]"),
        ([{"image_id": 9}], "entry 0 has 'bbox' None"),
        ([1, 2], "a json list without 'image_id'"),
        ([], "a json list without 'image_id'"),
    ):
        with pytest.raises(InputError, match=message):
            read_proposals(save(tmp_path / "bad.json", bad), order)


def test_sam_s_files_one_or_a_folder(tmp_path: Path) -> None:
    """SA-1B has a json for each image; the mask generator's list is called as its image."""
    masks = [
        {"bbox": [0, 0, 5, 5], "predicted_iou": 0.5, "segmentation": {"counts": "x"}},
        {"bbox": [1, 2, 10, 20], "predicted_iou": 0.75},
    ]
    folder = tmp_path / "sam"
    folder.mkdir()
    image = {"image_id": 7, "file_name": "sa_7.jpg", "width": 100, "height": 80}
    first = save(folder / "sa_7.json", {"image": image, "annotations": masks})
    save(folder / "zebra.json", masks[:1])
    boxes = [[1, 2, 11, 22, 0.75], [0, 0, 5, 5, 0.5]]
    assert table(read_proposals(first)) == {"sa_7.jpg": boxes}
    store = read_proposals(folder)
    assert table(store) == {"sa_7.jpg": boxes, "zebra": [[0, 0, 5, 5, 0.5]]}
    assert store.sizes.tolist() == [[100, 80], [-1, -1]]
    save(folder / "other.json", {"images": []})
    with pytest.raises(InputError, match=r'other\.json: expected \{"image"'):
        read_proposals(folder)


@pytest.mark.parametrize(
    "content", [b"\x80\x04", b"\x80\x04N.", b"\x80\x04]\x94.", b"\x80\x04K\x03.", b"(dp0\n", b"junk"]
)
def test_a_damaged_pickle_is_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "p.pkl").write_bytes(content)
    with pytest.raises(InputError, match=r"p\.pkl: "):
        read_proposals(tmp_path / "p.pkl")


@pytest.mark.parametrize(
    ("of", "image", "expected"),
    [
        ((100, 80), (100, 80), [10, 20, 30, 40]),
        ((100, 80), (50, 40), [5, 10, 15, 20]),
        ((100, 80), (333, 267), [33.3, 66.75, 99.9, 133.5]),
        ((-1, -1), (50, 50), [10, 20, 30, 40]),
    ],
)
def test_boxes_come_to_the_size_of_the_image(
    of: tuple[int, int], image: tuple[int, int], expected: list[float]
) -> None:
    """A file that says for which size its boxes are means the same places on a smaller copy."""
    boxes, note = fitted(np.array([[10, 20, 30, 40]], np.float32), of, image)
    np.testing.assert_allclose(boxes, [expected], rtol=1e-5)
    assert bool(note) == (of != image and of[0] > 0)
    assert not note or (f"{of[0]}x{of[1]}" in note and f"{image[0]}x{image[1]}" in note)


@pytest.mark.parametrize(
    ("of", "image", "message"),
    [
        ((100, 80), (80, 100), r"for 100x80 px, the image is 80x100 \(turned by its EXIF tag\)"),
        ((100, 80), (100, 60), "for 100x80 px, the image is 100x60: make them"),
        ((-1, -1), (20, 20), "1 of its 1 boxes reach out of the image, which is 20x20 px"),
    ],
)
def test_boxes_of_another_image_are_refused(
    of: tuple[int, int], image: tuple[int, int], message: str
) -> None:
    with pytest.raises(MisfitError, match=message):
        fitted(np.array([[10, 20, 30, 40]], np.float32), of, image)


def test_one_name_for_two_images_is_refused(tmp_path: Path) -> None:
    """SoCo leaves folder and ending out: boxes of one image are never put on another."""
    store = read_proposals(save(tmp_path / "soco.json", {"1": [[0, 0, 5, 5]], "2": [[0, 0, 6, 6]]}))
    assert rows_of(store, ["a/1.jpg", "a/3.jpg", "b/2.jpg"], "soco.json").tolist() == [0, -1, 1]
    with pytest.raises(InputError, match=r"soco\.json: its boxes of '1' fit a/1\.jpg and b/1\.jpg"):
        rows_of(store, ["a/1.jpg", "b/1.jpg"], "soco.json")
