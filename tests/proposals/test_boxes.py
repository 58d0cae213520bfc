"""Arithmetic of boxes against slow, literal definitions."""

from __future__ import annotations

import numpy as np
import pytest

from aligndet.proposals.boxes import area, iou_matrix, recall, suppress


def random_boxes(rng: np.random.Generator, count: int, side: float = 100.0) -> np.ndarray:
    corners = rng.uniform(0, side, (count, 2, 2))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def literal_iou(a: np.ndarray, b: np.ndarray) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def test_iou_equals_the_definition() -> None:
    rng = np.random.default_rng(0)
    first, second = random_boxes(rng, 20), random_boxes(rng, 30)
    expected = [[literal_iou(a, b) for b in second] for a in first]
    np.testing.assert_allclose(iou_matrix(first, second), expected, rtol=1e-12)


def test_iou_counts_edges_without_the_plus_one_of_pixels() -> None:
    two = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10]])
    np.testing.assert_allclose(iou_matrix(two[:1], two)[0], [1, 1 / 3, 0])
    assert iou_matrix(np.zeros((1, 4)), np.zeros((1, 4)))[0, 0] == 0
    np.testing.assert_array_equal(area(np.array([[0, 0, 2, 3], [5, 5, 4, 9]])), [6, 0])


@pytest.mark.parametrize("limit", [0, 1, 7])
def test_suppress_is_greedy_in_the_order_given(limit: int) -> None:
    boxes = random_boxes(np.random.default_rng(1), 80)
    kept: list[int] = []
    for i, box in enumerate(boxes):
        if all(literal_iou(box, boxes[j]) <= 0.3 for j in kept):
            kept.append(i)
    assert len(kept) > 7
    np.testing.assert_array_equal(suppress(boxes, 0.3, limit), kept[:limit] if limit else kept)


def test_suppress_of_nothing() -> None:
    assert suppress(np.zeros((0, 4)), 0.5).shape == (0,)


def test_recall_counts_true_boxes_over_all_images() -> None:
    truth = [np.array([[0.0, 0, 10, 10], [50, 50, 60, 60]]), np.array([[0.0, 0, 4, 4]]), np.zeros((0, 4))]
    found = [np.array([[0.0, 0, 10, 6]]), np.zeros((0, 4)), np.array([[1.0, 1, 2, 2]])]
    assert recall(found, truth) == pytest.approx(1 / 3)
    assert recall(found, truth, iou=0.61) == 0
    assert np.isnan(recall([], []))
    with pytest.raises(ValueError, match="one entry per image"):
        recall(found, truth[:1])
