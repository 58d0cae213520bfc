"""The filter against the rule written out box by box; each option does what it says, alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.proposals.boxes import iou_matrix
from aligndet.proposals.filters import FilterOptions, filter_boxes

H, W = 200, 300
OPEN = FilterOptions(0.001, 1000, 0, 100, 0, 1.0, 0, fallback=False)  # lets every box through


def random_boxes(count: int = 400, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, W, (count, 2)), rng.integers(0, H, (count, 2))
    boxes = np.stack([x.min(1), y.min(1), x.max(1), y.max(1)], axis=1).astype(np.float32)
    return np.unique(boxes[(np.diff(x) != 0).ravel() & (np.diff(y) != 0).ravel()], axis=0)


def as_set(boxes: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(map(float, box)) for box in boxes}


def admitted(box: np.ndarray, o: FilterOptions) -> bool:
    w, h = float(box[2] - box[0]), float(box[3] - box[1])
    size = (w * h) ** 0.5 / (W * H) ** 0.5
    return (
        o.min_ratio <= w / h <= o.max_ratio and o.min_size <= size <= o.max_size and min(w, h) >= o.min_side
    )


CASES: list[dict[str, Any]] = [
    {"min_ratio": 0.5},
    {"max_ratio": 2.0},
    {"min_size": 0.3},
    {"max_size": 0.5},
    {"min_side": 32},
    {"min_ratio": 1 / 3, "max_ratio": 3, "max_size": 0.8, "min_side": 32},
]


@pytest.mark.parametrize("change", CASES, ids=lambda change: "+".join(change))
def test_rule_equals_its_definition(change: dict[str, Any]) -> None:
    boxes, options = random_boxes(), replace(OPEN, **change)
    expected = {tuple(map(float, box)) for box in boxes if admitted(box, options)}
    assert 0 < len(expected) < len(boxes), "the case must tell boxes apart"
    kept, scores = filter_boxes(boxes, None, H, W, options)
    assert as_set(kept) == expected
    assert scores is None
    assert kept.dtype == np.float32


def test_bounds_are_inclusive() -> None:
    exact = np.array([[0, 0, 96, 32], [0, 0, 32, 96], [0, 0, 240, 160]], dtype=np.float32)
    just_out = np.array([[0, 0, 97, 32], [0, 0, 31, 40], [0, 0, 241, 160]], dtype=np.float32)
    rule = FilterOptions(iou=1.0, fallback=False)
    assert as_set(filter_boxes(exact, None, H, W, rule)[0]) == as_set(exact)
    assert len(filter_boxes(just_out, None, H, W, rule)[0]) == 0


def test_defaults_are_the_papers_rule() -> None:
    o = FilterOptions()
    assert (o.min_ratio, o.max_ratio, o.min_size, o.max_size, o.min_side, o.iou) == (
        1 / 3,
        3,
        0,
        0.8,
        32,
        0.5,
    )
    assert o.fallback


def test_suppression_keeps_no_overlapping_pair_and_leaves_no_free_box_out() -> None:
    boxes = random_boxes()
    kept, _ = filter_boxes(boxes, None, H, W, replace(OPEN, iou=0.4))
    pairs = iou_matrix(kept, kept) - np.eye(len(kept))
    assert pairs.max() <= 0.4
    assert iou_matrix(boxes, kept).max(axis=1).min() > 0.4  # each dropped box has a kept cause


def test_cap_keeps_the_best() -> None:
    boxes = random_boxes()
    everything, _ = filter_boxes(boxes, None, H, W, OPEN)
    capped, _ = filter_boxes(boxes, None, H, W, replace(OPEN, max_per_image=7))
    np.testing.assert_array_equal(capped, everything[:7])


def test_ranks() -> None:
    boxes = random_boxes()
    scores = np.random.default_rng(1).random(len(boxes)).astype(np.float32)
    kept, kept_scores = filter_boxes(boxes, scores, H, W, OPEN)
    assert kept_scores is not None
    np.testing.assert_array_equal(kept_scores, np.sort(scores)[::-1])
    by_box = {tuple(map(float, box)): score for box, score in zip(boxes, scores, strict=True)}
    assert [by_box[tuple(map(float, box))] for box in kept] == list(kept_scores)
    areas = {}
    for rank in ("large", "small", "random"):
        kept, _ = filter_boxes(boxes, None, H, W, replace(OPEN, rank=rank))
        areas[rank] = (kept[:, 2] - kept[:, 0]) * (kept[:, 3] - kept[:, 1])
    assert (np.diff(areas["large"]) <= 0).all()
    assert (np.diff(areas["small"]) >= 0).all()
    half = len(boxes) // 2
    assert 0.7 < areas["random"][:half].mean() / areas["random"][half:].mean() < 1.4


def test_result_does_not_depend_on_the_order_or_copies_of_the_boxes() -> None:
    boxes = random_boxes()
    mixed = np.random.default_rng(2).permutation(np.concatenate([boxes, boxes[:50]]))
    first, _ = filter_boxes(boxes, None, H, W, FilterOptions(), "a.jpg")
    second, _ = filter_boxes(mixed, None, H, W, FilterOptions(), "a.jpg")
    np.testing.assert_array_equal(first, second)


def test_random_rank_is_fixed_by_name_and_seed() -> None:
    boxes = random_boxes()
    runs = [
        filter_boxes(boxes, None, H, W, replace(OPEN, seed=seed), name)[0]
        for seed, name in [(0, "a.jpg"), (0, "a.jpg"), (1, "a.jpg"), (0, "b.jpg")]
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])
    assert not np.array_equal(runs[0], runs[3])


def test_boxes_are_clipped_to_the_image_and_empty_ones_dropped() -> None:
    boxes = np.array([[-5, -5, 40, 40], [280, 180, 400, 400], [50, 50, 50, 90], [400, 10, 500, 60]])
    kept, _ = filter_boxes(boxes, None, H, W, OPEN)
    assert as_set(kept) == {(0, 0, 40, 40), (280, 180, 300, 200)}


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([[0, 0, 20, 20], [0, 0, 90, 20]], {(0.0, 0.0, 20.0, 20.0)}),  # ratio alone helps
        ([[0, 0, 150, 40], [0, 0, 9, 90]], {(0.0, 0.0, 150.0, 40.0)}),  # then min side alone
        ([[0, 0, 9, 90]], set()),  # nothing helps
        ([], set()),
    ],
)
def test_fallback(boxes: list[list[int]], expected: set[tuple[float, ...]]) -> None:
    raw = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    assert as_set(filter_boxes(raw, None, H, W, FilterOptions())[0]) == expected
    assert len(filter_boxes(raw, None, H, W, FilterOptions(fallback=False))[0]) == 0


def test_fallback_leaves_images_with_proposals_alone() -> None:
    raw = np.array([[0, 0, 20, 20], [100, 100, 150, 150]], dtype=np.float32)
    assert as_set(filter_boxes(raw, None, H, W, FilterOptions())[0]) == {(100, 100, 150, 150)}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"rank": "best"}, "rank='best'.*score"),
        ({"min_ratio": 4.0}, "min_ratio <= max_ratio"),
        ({"max_size": -1}, "min_size <= max_size"),
        ({"iou": 2}, "iou=2"),
        ({"max_per_image": -1}, "max_per_image"),
    ],
)
def test_wrong_options_are_refused(change: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        FilterOptions(**change)


def test_scores_must_match_the_boxes() -> None:
    with pytest.raises(ValueError, match=r"a.jpg: 2 boxes but 3 scores"):
        filter_boxes(np.ones((2, 4)), np.ones(3), H, W, OPEN, "a.jpg")
