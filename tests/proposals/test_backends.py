"""The registry of backends, and those that come with the package (`fast` has its own tests)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.proposals.backends import (
    backend_names,
    make_backend,
    parse_options,
    register,
    registry,
    run_backend,
)
from aligndet.proposals.backends.opencv import support
from aligndet.proposals.boxes import iou_matrix
from aligndet.proposals.store_writer import StoreWriter


def nothing_backend(size: float = 1.0, deep: bool = False, name: str = "n", count: int = 3) -> Callable:
    return lambda image: (np.zeros((count, 4), np.float32), None)


def two_squares() -> tuple[np.ndarray, np.ndarray]:
    """A noisy image of two coloured squares, and their boxes xyxy."""
    rng = np.random.default_rng(0)
    image = np.full((96, 128, 3), (40, 60, 50), np.uint8)
    boxes = np.array([[10, 12, 50, 52], [70, 30, 118, 84]])
    for (x1, y1, x2, y2), color in zip(boxes, [(40, 40, 220), (220, 200, 30)], strict=True):
        image[y1:y2, x1:x2] = color
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8), boxes


def test_known_names() -> None:
    assert {"file", "grid", "opencv", "random", "selectivesearch"} <= set(backend_names())
    assert backend_names() == sorted(backend_names())


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        InputError, match=r"unknown proposal backend 'magic'.*file, grid, opencv, random, selectivesearch"
    ):
        make_backend("magic")


def test_unknown_option_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"has no option color; it has: scale, sigma, min_size"):
        make_backend("selectivesearch", color="red")


def test_own_backend_by_path_and_by_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    assert make_backend(f"{__name__}:nothing_backend", count=2)(image)[0].shape == (2, 4)
    monkeypatch.setattr(registry, "_FACTORIES", dict(registry._FACTORIES))
    register("nothing", nothing_backend)
    assert make_backend("nothing", count=5)(image)[0].shape == (5, 4)
    with pytest.raises(KeyError, match="already registered"):
        register("nothing", nothing_backend)


def test_options_from_text_take_the_type_of_the_default() -> None:
    name = f"{__name__}:nothing_backend"
    parsed = parse_options(name, ["size=2", "deep=true", "name=7", "count=4"])
    assert parsed == {"size": 2.0, "deep": True, "name": "7", "count": 4}
    assert [type(v) for v in parsed.values()] == [float, bool, str, int]
    for wrong in ["size", "colour=3", "count=many"]:
        with pytest.raises(InputError, match=f"backend option '{wrong}'"):
            parse_options(name, [wrong])


def tiles_backend(  # type: ignore[no-untyped-def]
    side: int, limit: int | None = None, shapes: tuple[float, ...] = (1.0,), shift: bool = False, free=None
):
    """Ordinary signature of a user's factory: required, optional, tuple, bool, no annotation."""
    return lambda image: (np.array([[0, 0, side, side]]), None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("side=32", 32),
        ("limit=5", 5),
        ("limit=None", None),
        ("shapes=0.5,2", (0.5, 2.0)),
        ("shapes=(0.5, 2.0)", (0.5, 2.0)),
        ("shift=yes", True),
        ("shift=off", False),
        ("free=[1, 2]", [1, 2]),
        ("free=word", "word"),
    ],
)
def test_options_arrive_as_annotation_or_default_say(text: str, value: object) -> None:
    parsed = parse_options(f"{__name__}:tiles_backend", [text])
    assert parsed == {text.partition("=")[0]: value}
    assert [type(one) for one in parsed.values()] == [type(value)]


@pytest.mark.parametrize("text", ["side=many", "limit=many", "shapes=a,b", "shift=maybe"])
def test_a_wrong_value_is_refused_by_name(text: str) -> None:
    with pytest.raises(InputError, match=f"backend option '{text}': expected"):
        parse_options(f"{__name__}:tiles_backend", [text])


def test_a_missing_required_option_is_named() -> None:
    with pytest.raises(InputError, match="needs side: give --backend-options side=VALUE"):
        make_backend(f"{__name__}:tiles_backend", limit=3)
    assert make_backend(f"{__name__}:tiles_backend", side=8)(None)[0].tolist() == [[0, 0, 8, 8]]
    assert "side" not in registry.resolved_options(f"{__name__}:tiles_backend", {})


@pytest.mark.parametrize("name", ["no_such_module_at_all:tiles", f"{__name__}:no_such_factory"])
def test_a_backend_that_cannot_be_imported_is_named(name: str) -> None:
    with pytest.raises(InputError, match="no_such"):
        make_backend(name)


@pytest.mark.skipif(hasattr(cv2, "ximgproc"), reason="this OpenCV has ximgproc")
def test_opencv_without_contrib_names_the_command() -> None:
    with pytest.raises(InputError, match=r"pip install 'opencv-contrib-python") as caught:
        make_backend("opencv")
    assert "mmcv" in str(caught.value)


def test_opencv_finds_squares_with_exact_edges_in_a_fixed_order() -> None:
    pytest.importorskip("cv2.ximgproc") if hasattr(cv2, "ximgproc") else pytest.skip("no ximgproc")
    image, truth = two_squares()
    boxes, scores = make_backend("opencv", mode="single")(image)
    assert scores is not None
    assert scores.shape == (len(boxes),)
    assert (iou_matrix(truth, boxes).max(axis=1) > 0.9).all()
    for _ in range(3):
        np.testing.assert_array_equal(make_backend("opencv", mode="single")(image)[0], boxes)
    with pytest.raises(InputError, match="single, fast, quality"):
        make_backend("opencv", mode="slow")


def test_selectivesearch_finds_squares_with_exact_edges() -> None:
    pytest.importorskip("selectivesearch")
    image, truth = two_squares()
    boxes, scores = make_backend("selectivesearch")(image)
    assert scores is None
    assert (iou_matrix(truth, boxes).max(axis=1) > 0.9).all()
    assert [0, 0, 128, 96] in boxes.tolist()  # all regions merged: the whole image, last pixel included


def test_selectivesearch_options_reach_the_search() -> None:
    pytest.importorskip("selectivesearch")
    image, _ = two_squares()
    fine = make_backend("selectivesearch", scale=1.0, sigma=0.1, min_size=5)(image)[0]
    assert len(fine) > len(make_backend("selectivesearch")(image)[0])


def test_support_is_the_sum_of_powered_overlap_whatever_the_chunk() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 50, (30, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    expected = [sum(iou_matrix(boxes[i : i + 1], boxes)[0] ** 4) for i in range(30)]
    np.testing.assert_allclose(support(boxes, rows=7), expected, rtol=1e-6)
    assert support(np.zeros((0, 4))).shape == (0,)


def test_backends_may_give_levels_and_take_the_name() -> None:
    def by_name(image: np.ndarray, name: str) -> tuple:
        return np.full((1, 4), len(name)), None, np.array([7])

    by_name.takes_name = True  # type: ignore[attr-defined]
    image = np.zeros((4, 4, 3), np.uint8)
    raw = run_backend(by_name, image, "abc")
    assert (raw.boxes[0, 0], raw.scores, raw.levels) == (3, None, [7])
    raw = run_backend(nothing_backend(), image, "abc")
    assert (len(raw.boxes), raw.scores, raw.levels) == (3, None, None)


def test_random_boxes_follow_the_name_and_the_bounds() -> None:
    image = np.zeros((200, 400, 3), np.uint8)
    options = {"count": 4000, "min_size": 0.1, "max_size": 0.6, "max_ratio": 2.0}
    boxes = run_backend(make_backend("random", **options), image, "a.jpg").boxes
    np.testing.assert_array_equal(boxes, run_backend(make_backend("random", **options), image, "a.jpg").boxes)
    assert (boxes != run_backend(make_backend("random", **options), image, "b.jpg").boxes).any(axis=1).all()
    assert (boxes != run_backend(make_backend("random", seed=1, **options), image, "a.jpg").boxes).any()
    sides = boxes[:, 2:] - boxes[:, :2]
    assert boxes.min() >= 0
    assert (boxes[:, 2:] <= [400.001, 200.001]).all()
    ratio, size = sides[:, 0] / sides[:, 1], np.sqrt(sides.prod(axis=1) / (200 * 400))
    assert 0.49 < ratio.min() < 0.55 < 1.9 < ratio.max() < 2.01
    assert 0.099 < size.min() < 0.11 < 0.55 < size.max() < 0.601
    assert abs(np.log(size).mean() - np.log([0.1, 0.6]).mean()) < 0.05  # uniform in the logarithm
    with pytest.raises(InputError, match="min_size <= max_size"):
        make_backend("random", min_size=0.9)


def test_a_grid_covers_the_image_evenly() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    raw = run_backend(make_backend("grid", levels=2, overlap=0.0, ratio=1.0), image, "")
    expected = [[x, y, x + 100, y + 50] for y in (0, 50) for x in (0, 100)]
    expected += [[x, y, x + 50, y + 25] for y in (0, 25, 50, 75) for x in (0, 50, 100, 150)]
    np.testing.assert_allclose(raw.boxes, expected)
    assert raw.levels is not None
    assert raw.levels.tolist() == [1] * 4 + [2] * 16
    half = run_backend(make_backend("grid", levels=1, overlap=0.5, ratio=1.0), image, "").boxes
    assert sorted({x for x, *_ in half.tolist()}) == [0, 50, 100]
    wide = run_backend(make_backend("grid"), image, "").boxes
    ratios = (wide[:, 2] - wide[:, 0]) / (wide[:, 3] - wide[:, 1])
    np.testing.assert_allclose(sorted(set(ratios.round(3))), [1, 2, 4], atol=0.01)  # of a 2:1 image
    assert wide.min() >= -1e-4
    with pytest.raises(InputError, match="levels >= 1"):
        make_backend("grid", levels=0)


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        ("a/b/1.jpg", "a/b/1.jpg"),
        ("1.jpg", "a/b/1.jpg"),  # without folders
        ("1", "a/b/1.jpg"),  # SoCo: without folders and ending
        ("b/1.jpg", "a/b/1.jpg"),  # mmdet: with the last folder
        ("a/b/1", "a/b/1.jpg"),
    ],
)
def test_file_backend_finds_an_image_by_the_names_in_use(tmp_path: Path, known: str, asked: str) -> None:
    with StoreWriter(tmp_path / "s") as writer:
        writer.append("other.jpg", 1, (90, 90), np.array([[0, 0, 5, 5]]))
        writer.append(known, 2, (90, 90), np.array([[1, 2, 30, 40.5]]), scores=np.array([0.5]))
    backend = make_backend("file", path=str(tmp_path / "s"))
    raw = run_backend(backend, np.zeros((90, 90, 3), np.uint8), asked)
    assert (raw.boxes.tolist(), raw.levels) == ([[1, 2, 30, 40.5]], None)
    assert raw.scores is not None
    assert raw.scores.tolist() == [0.5]
    with pytest.raises(LookupError, match=r"has no boxes for x/2\.jpg; it names its images like other\.jpg"):
        run_backend(backend, np.zeros((9, 9, 3), np.uint8), "x/2.jpg")


def test_file_backend_without_a_file_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="path=FILE"):
        make_backend("file")
    with pytest.raises(InputError):
        make_backend("file", path=str(tmp_path / "none.json"))
