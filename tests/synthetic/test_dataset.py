"""The generated demo set: the same for the same seed, and its boxes are where its objects are."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.proposals import recall
from aligndet.synthetic.dataset import scene_of, write_dataset
from aligndet.synthetic.scene import mask_boxes, render_scene
from aligndet.synthetic.shapes import CLASSES, SHAPES
from aligndet.synthetic.textures import TEXTURES

COUNTS = {"train": 6, "val": 3, "test": 2, "unlabelled": 4}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    write_dataset(out, COUNTS, size=128, seed=3)
    return out


def read(out: Path, split: str) -> dict:
    return json.loads((out / "annotations" / f"{split}.json").read_text())


def all_bytes(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_same_seed_same_bytes_other_seed_other_pictures(written: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "again", COUNTS, size=128, seed=3)
    assert all_bytes(tmp_path / "again") == all_bytes(written)
    write_dataset(tmp_path / "other", {"train": 1}, size=128, seed=4)
    name = "images/train/000000.jpg"
    assert (tmp_path / "other" / name).read_bytes() != (written / name).read_bytes()


def test_larger_set_begins_with_the_smaller(written: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path, {"train": 2, "val": 5}, size=128, seed=3)
    for name in ("train/000001.jpg", "val/000002.jpg"):
        assert (tmp_path / "images" / name).read_bytes() == (written / "images" / name).read_bytes()


def test_no_picture_is_shared_by_splits(written: Path) -> None:
    pictures = [data for name, data in all_bytes(written).items() if name.endswith(".jpg")]
    assert len(pictures) == len(set(pictures)) == sum(COUNTS.values())


@pytest.mark.parametrize("seed", range(8))
def test_boxes_are_tight_and_objects_stay_visible(seed: int) -> None:
    scene = render_scene(160, np.random.default_rng(seed))
    assert scene.image.shape == (160, 160, 3)
    assert scene.image.dtype == np.uint8
    assert len(scene.masks) == len(scene.boxes) == len(scene.labels)
    assert scene.masks.sum(axis=0).max() <= 1, "visible parts are disjoint"
    for mask, (x1, y1, x2, y2) in zip(scene.masks, scene.boxes, strict=True):
        ys, xs = np.nonzero(mask)
        assert (x1, y1, x2, y2) == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        assert 0 <= x1 < x2 <= 160
        assert 0 <= y1 < y2 <= 160


def test_masks_are_where_pixels_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the same ground without objects, every object's visible pixels differ."""
    flat = np.full((160, 160, 3), 0.5, np.float32)
    monkeypatch.setattr("aligndet.synthetic.scene.paint_ground", lambda size, rng: flat.copy())
    monkeypatch.setattr("aligndet.synthetic.scene._photograph", lambda canvas, rng: canvas)
    monkeypatch.setattr("aligndet.synthetic.scene._shade", lambda *_: None)
    for seed in range(6):
        scene = render_scene(160, np.random.default_rng(seed))
        changed = np.abs(scene.image - flat).max(axis=2) > 0.02
        covered = scene.masks.any(axis=0)
        assert covered.any()
        assert (changed & covered).sum() > 0.97 * covered.sum()
        grown: np.ndarray = np.zeros((160, 160), np.uint8)
        grown[covered] = 1
        grown = cv2.dilate(
            grown, np.ones((5, 5))
        )  # border pixels, and thin tips, are covered by less than half
        assert (changed & (grown == 0)).sum() < 0.005 * covered.sum()


def test_mask_boxes_of_single_pixels_and_none() -> None:
    masks = np.zeros((2, 5, 7), bool)
    masks[0, 4, 6] = masks[1, 0, 0] = masks[1, 2, 3] = True
    np.testing.assert_array_equal(mask_boxes(masks), [[6, 4, 7, 5], [0, 0, 4, 3]])
    assert mask_boxes(np.zeros((0, 5, 7), bool)).shape == (0, 4)


def test_coco_files_are_valid(written: Path) -> None:
    coco_api = pytest.importorskip("pycocotools.coco")
    for split, count in COUNTS.items():
        coco = coco_api.COCO(str(written / "annotations" / f"{split}.json"))
        assert len(coco.getImgIds()) == count
        assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == list(CLASSES)
        for image in coco.loadImgs(coco.getImgIds()):
            picture = cv2.imread(str(written / "images" / image["file_name"]))
            assert picture is not None
            assert picture.shape[:2] == (image["height"], image["width"]) == (128, 128)
        for row in coco.loadAnns(coco.getAnnIds()):
            x, y, w, h = row["bbox"]
            assert 0 <= x < x + w <= 128
            assert 0 <= y < y + h <= 128
            assert 0 < row["area"] <= w * h
    assert read(written, "unlabelled")["annotations"] == []


def test_annotations_are_those_of_the_pictures(written: Path) -> None:
    content = read(written, "train")
    scene = scene_of("train", 2, size=128, seed=3)
    rows = [row for row in content["annotations"] if row["image_id"] == 3]
    xywh = np.array([row["bbox"] for row in rows])
    np.testing.assert_array_equal(np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]]), scene.boxes)
    assert [row["category_id"] for row in rows] == [label + 1 for label in scene.labels]
    assert [row["area"] for row in rows] == [int(mask.sum()) for mask in scene.masks]
    assert [row["id"] for row in content["annotations"]] == list(range(1, len(content["annotations"]) + 1))


def test_classes_are_balanced_and_scales_are_many() -> None:
    scenes = [render_scene(96, np.random.default_rng(seed)) for seed in range(120)]
    labels = np.concatenate([scene.labels for scene in scenes])
    share = np.bincount(labels, minlength=len(CLASSES)) / len(labels) * len(CLASSES)
    assert share.min() > 0.7
    assert share.max() < 1.35
    boxes = np.concatenate([scene.boxes for scene in scenes])
    size = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])) / 96
    assert np.quantile(size, 0.95) / np.quantile(size, 0.05) > 3
    assert 2.5 < len(labels) / len(scenes) < 8
    assert any(len(scene.labels) != len(set(scene.labels)) for scene in scenes)


def test_colour_alone_does_not_tell_classes_apart() -> None:
    """Nearest mean colour of 400 objects: better than chance (1/8), far from solved."""
    colors, labels = [], []
    for seed in range(100):
        scene = render_scene(96, np.random.default_rng(seed))
        for mask, label in zip(scene.masks, scene.labels, strict=True):
            colors.append(scene.image[mask].mean(axis=0))
            labels.append(label)
    x, y = np.array(colors), np.array(labels)
    distance = np.linalg.norm(x[:, None] - x[None], axis=2) + np.eye(len(x)) * 1e9
    votes = y[np.argsort(distance, axis=1)[:, :7]]
    guess = np.array([np.bincount(v, minlength=len(CLASSES)).argmax() for v in votes])
    assert 0.13 < (guess == y).mean() < 0.5


def test_shapes_and_textures_are_in_bounds() -> None:
    ys, xs = np.mgrid[-1.3:1.3:80j, -1.3:1.3:80j]
    for name, level in SHAPES.items():
        inside = level(xs, ys) <= 0
        assert inside.any(), name
        edge = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
        assert not edge.any(), f"{name} is cut by its canvas"
    for name, texture in TEXTURES.items():
        field = texture(xs.astype(np.float32), ys.astype(np.float32), np.random.default_rng(0))
        assert field.shape == xs.shape, name
        assert field.min() >= 0, name
        assert field.max() <= 1, name


def test_selective_search_has_something_to_find() -> None:
    backends = pytest.importorskip("aligndet.proposals.backends")
    pytest.importorskip("selectivesearch")
    search = backends.make_backend("selectivesearch", min_size=40)
    scenes = [render_scene(128, np.random.default_rng(seed)) for seed in range(6)]
    found = recall([search(scene.image)[0] for scene in scenes], [scene.boxes for scene in scenes])
    assert 0.5 < found < 1.0


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown split dev; expected train"):
        write_dataset(tmp_path, {"dev": 1})
    with pytest.raises(ValueError, match=r"size=8"):
        write_dataset(tmp_path, {"val": 1}, size=8)
