"""The registry of backends, and the two that come with the package."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from aligndet.proposals.backends import backend_names, make_backend, parse_options, register, registry
from aligndet.proposals.backends.opencv import support
from aligndet.proposals.boxes import iou_matrix


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
    assert backend_names() == ["opencv", "selectivesearch"]


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"unknown proposal backend 'magic'.*opencv, selectivesearch"):
        make_backend("magic")


def test_unknown_option_lists_the_known_ones() -> None:
    with pytest.raises(TypeError, match=r"has no option color; it has: scale, sigma, min_size"):
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
        with pytest.raises(ValueError, match=f"backend option '{wrong}'"):
            parse_options(name, [wrong])


@pytest.mark.skipif(hasattr(cv2, "ximgproc"), reason="this OpenCV has ximgproc")
def test_opencv_without_contrib_names_the_command() -> None:
    with pytest.raises(ImportError, match=r"pip install 'opencv-contrib-python") as caught:
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
    with pytest.raises(ValueError, match="single, fast, quality"):
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
