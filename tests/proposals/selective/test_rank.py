"""The ranking's parts against plain restatements, and what the order must do whatever the formula."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from aligndet.proposals.boxes import iou_matrix, suppress
from aligndet.proposals.selective.overlap import LEAST, close_pairs, support, thin
from aligndet.proposals.selective.rank import HEAD, Pool, combine, rank


def random_boxes(count: int, seed: int = 0, side: int = 100) -> np.ndarray:
    """Unique boxes (N, 4) int32, sorted by area; many near copies of a few."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, side, (count // 8 + 1, 4))
    boxes = centres[rng.integers(len(centres), size=count)] + rng.integers(-4, 5, (count, 4))
    x, y = np.sort(boxes[:, ::2], axis=1), np.sort(boxes[:, 1::2], axis=1)
    boxes = np.stack([x[:, 0], y[:, 0], x[:, 1] + 3, y[:, 1] + 3], axis=1).clip(0, side)
    boxes = np.unique(boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)], axis=0)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return boxes[np.argsort(areas, kind="stable")].astype(np.int32)


def pool_of(boxes: np.ndarray, seed: int = 0) -> Pool:
    rng = np.random.default_rng(seed)
    contours = rng.uniform(0, 300, len(boxes))
    cues = np.stack([rng.uniform(0.1, 1, len(boxes)), contours, rng.uniform(0, 1, len(boxes))])
    return Pool(boxes, *cues.astype(np.float32))


def test_close_pairs_are_those_of_the_iou_matrix() -> None:
    boxes = random_boxes(400)
    start, other, iou = close_pairs(boxes)
    expected = iou_matrix(boxes.astype(float), boxes.astype(float)) - np.eye(len(boxes))
    assert (expected > LEAST).sum() > 3000, "the case must have many pairs, so that the list has to grow"
    found = np.zeros_like(expected)
    for i in range(len(boxes)):
        row = slice(start[i], start[i + 1])
        assert len(set(other[row].tolist())) == start[i + 1] - start[i]
        found[i, other[row]] = iou[row]
    np.testing.assert_allclose(found, np.where(expected > LEAST, expected, 0), rtol=1e-5)


def test_an_overlap_of_exactly_a_half_is_left_out() -> None:
    boxes = np.array([[0, 0, 10, 20], [0, 0, 20, 10], [0, 1, 20, 20], [0, 0, 20, 20]], np.int32)
    start, other, iou = close_pairs(boxes)
    assert start.tolist() == [0, 0, 0, 1, 2]
    assert other.tolist() == [3, 2]
    np.testing.assert_allclose(iou, 0.95, rtol=1e-6)


def test_support_is_the_sum_of_squares_over_close_boxes() -> None:
    boxes = random_boxes(150)
    ious = iou_matrix(boxes.astype(float), boxes.astype(float))
    np.testing.assert_allclose(
        support(*close_pairs(boxes)), (np.where(ious > LEAST, ious, 0) ** 2).sum(axis=1), rtol=1e-4
    )


@pytest.mark.parametrize("most", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("limit", [10, 10_000])
def test_thinning_is_suppression(most: float, limit: int) -> None:
    boxes = random_boxes(300)
    order = np.random.default_rng(1).permutation(len(boxes))
    taken = np.zeros(len(boxes), bool)
    kept = thin(order, *close_pairs(boxes), most, limit, taken)
    np.testing.assert_array_equal(kept, order[suppress(boxes[order].astype(float), most, limit)])
    assert sorted(np.flatnonzero(taken)) == sorted(kept)


def test_thinning_heeds_boxes_taken_before() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 11], [50, 50, 70, 70]], np.int32)
    taken = np.array([True, False, False])
    assert thin(np.array([0, 1, 2]), *close_pairs(boxes), 0.8, 9, taken).tolist() == [2]


def test_copies_become_one_box_with_the_best_of_each_cue() -> None:
    boxes = np.array([[0, 0, 9, 9], [5, 0, 7, 2], [0, 0, 9, 9], [0, 5, 2, 7]], np.int32)
    cues = np.array([[0.2, 7], [0.5, 1], [0.9, 3], [0.1, 2]], np.float32)
    unique, best = combine(boxes, cues)
    assert unique.tolist() == [[0, 5, 2, 7], [5, 0, 7, 2], [0, 0, 9, 9]]  # by area, then corners
    np.testing.assert_allclose(best, [[0.1, 2], [0.5, 1], [0.9, 7]])


def test_coordinates_above_15_bits_stay_apart() -> None:
    boxes = np.array([[0, 0, 40000, 3], [0, 0, 40001, 3], [40000, 0, 65535, 65535]], np.int32)
    assert combine(boxes[::-1], np.zeros((3, 1), np.float32))[0].tolist() == boxes.tolist()


@pytest.mark.parametrize("overlap", [0.75, 0.9])
@pytest.mark.parametrize("limit", [1, 50, 0])
def test_order_has_no_near_copies_and_keeps_to_the_limit(limit: int, overlap: float) -> None:
    pool = pool_of(random_boxes(600))
    order = rank(pool, limit, overlap)
    assert len(order) == limit if limit else len(order) > 100
    assert len(set(order.tolist())) == len(order)
    ious = iou_matrix(*[pool.boxes[order].astype(float)] * 2) - np.eye(len(order))
    assert ious.max() <= overlap


def test_limits_cut_the_same_order() -> None:
    pool = pool_of(random_boxes(600))
    assert len(rank(pool, 0, 0.85)) < HEAD  # so the head alone differs from limit to limit
    np.testing.assert_array_equal(rank(pool, 40, 0.85), rank(pool, 0, 0.85)[:40])


@pytest.mark.parametrize("cue", ["support", "tightness", "contours"])
def test_each_cue_lifts_a_box(cue: str) -> None:
    """Four separate boxes that are alike but for one cue: the one that has more of it comes first."""
    corners = np.array([[0, 0], [200, 0], [0, 200], [200, 200]])
    boxes = np.concatenate([corners, corners + 50], axis=1).astype(np.int32)
    if cue == "support":
        boxes = np.concatenate([boxes, [[200, 0, 250, 51], [200, 0, 250, 52]]]).astype(np.int32)
    pool = Pool(boxes, *np.full((3, len(boxes)), 0.4, np.float32))
    if cue != "support":
        getattr(pool, cue)[1] *= 2
    assert pool.boxes[rank(pool, 0, 0.85)[0]][:2].tolist() == [200, 0]


def apart(count: int) -> np.ndarray:
    """Boxes (count, 4) of 50 x 50 px, side by side."""
    corners = np.stack([np.arange(count) * 200, np.zeros(count)], axis=1)
    return np.concatenate([corners, corners + 50], axis=1).astype(np.int32)


def test_behind_the_head_a_later_region_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The level is a cue of the tail alone: of equal regions, the one that came to be later is wholer."""
    module = importlib.import_module("aligndet.proposals.selective.rank")  # the package's name is a function
    monkeypatch.setattr(module, "HEAD", 1)
    levels = np.array([0.1, 0.2, 0.9, 0.5], np.float32)
    same = np.full(4, 0.4, np.float32)
    pool = Pool(apart(4), same, same, levels)
    assert rank(pool, 0, 0.85).tolist() == [0, 2, 3, 1]


@pytest.mark.parametrize(("height", "order"), [(34, [1, 0, 2]), (37, [1, 2, 0])])
def test_the_head_passes_over_boxes_that_overlap_by_more_than_seven_tenths(
    height: int, order: list[int]
) -> None:
    """The second best has an IoU of .68 or .74 with the best; the tail takes what the head passes over."""
    boxes = np.array([[0, 0, 50, height], [0, 0, 50, 50], [500, 0, 550, 51]], np.int32)
    pool = Pool(boxes, *np.array([[0.4, 0.4, 0.1], [200, 300, 1], [0.5, 0.5, 0.5]], np.float32))
    assert rank(pool, 0, 0.9).tolist() == order
