"""Segmentation against the paper written out literally, component by component, on images of a few pixels."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from aligndet.proposals.selective.segment import (
    HEAVIEST,
    STEPS,
    join_components,
    smooth,
    sort_edges,
    weigh_edges,
)

SIDES = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows and columns to the neighbour, in the order of the edges
Edge = tuple[int, int, int, int]  # weight, number, pixel, other pixel


def picture(height: int = 9, width: int = 11, seed: int = 0, channels: int = 3) -> np.ndarray:
    """Two flat halves with noise: small weights inside, large ones across."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, channels), 60.0)
    image[:, width // 2 :] += 50
    return np.clip(image + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8)


def edges_of(image: np.ndarray) -> list[Edge]:
    """All edges of the 8-connected grid of a smoothed image, by definition."""
    height, width = image.shape[:2]
    found = []
    for y, x, side in itertools.product(range(height), range(width), range(4)):
        ny, nx = y + SIDES[side][0], x + SIDES[side][1]
        if ny < height and 0 <= nx < width:
            distance = np.linalg.norm(image[y, x].astype(float) - image[ny, nx].astype(float))
            pixel = y * width + x
            found.append((int(distance + 0.5), 4 * pixel + side, pixel, ny * width + nx))
    return found


def inner_difference(component: frozenset[int], edges: list[Edge]) -> float:
    """Largest weight of a minimum spanning tree of the component: equation 1."""
    home = {pixel: pixel for pixel in component}

    def root(pixel: int) -> int:
        return pixel if home[pixel] == pixel else root(home[pixel])

    largest = 0
    for weight, _, a, b in edges:
        if a in component and b in component and root(a) != root(b):
            home[root(a)] = root(b)
            largest = max(largest, weight)
    return largest


def segment_literally(image: np.ndarray, k: float, min_size: int) -> set[frozenset[int]]:
    """Algorithm 1 of the paper, and the joining of small components that the authors' program does."""
    edges = sorted(edges_of(image))
    of = {pixel: frozenset([pixel]) for pixel in range(image.shape[0] * image.shape[1])}

    def join(first: frozenset[int], second: frozenset[int]) -> None:
        for pixel in first | second:
            of[pixel] = first | second

    for weight, _, a, b in edges:
        if of[a] is not of[b] and weight <= min(
            inner_difference(c, edges) + k * STEPS / len(c) for c in (of[a], of[b])
        ):
            join(of[a], of[b])
    for _, _, a, b in edges:
        if of[a] is not of[b] and min(len(of[a]), len(of[b])) < min_size:
            join(of[a], of[b])
    return set(of.values())


def segment(image: np.ndarray, k: float, min_size: int) -> np.ndarray:
    weights = weigh_edges(image)
    return join_components(weights, sort_edges(weights), k, min_size)


def as_sets(labels: np.ndarray) -> set[frozenset[int]]:
    flat = labels.ravel()
    return {frozenset(np.flatnonzero(flat == label).tolist()) for label in np.unique(flat)}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("k", "min_size"), [(5.0, 1), (20.0, 1), (60.0, 1), (20.0, 6)])
def test_equals_the_paper_written_out(seed: int, k: float, min_size: int) -> None:
    image = smooth(picture(seed=seed), 0.6)
    assert as_sets(segment(image, k, min_size)) == segment_literally(image, k, min_size)


def test_the_cases_above_tell_segmentations_apart() -> None:
    counts = [len(segment_literally(smooth(picture(), 0.6), k, 1)) for k in (5.0, 20.0, 60.0)]
    assert counts[0] > counts[1] > counts[2] >= 1
    assert 2 <= counts[1] < 60


def test_weights_are_rounded_colour_distances_and_the_order_is_stable() -> None:
    image = smooth(picture(6, 7, channels=3), 0)
    weights = weigh_edges(image)
    expected = edges_of(image)
    assert {number: weight for weight, number, _, _ in expected} == {
        number: int(weight) for number, weight in enumerate(weights.ravel()) if weight < HEAVIEST
    }
    assert sort_edges(weights).tolist() == [number for _, number, _, _ in sorted(expected)]


def test_black_beside_white_is_the_heaviest_weight_not_an_overflow() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[:, 1] = 255
    weights = weigh_edges(smooth(image, 0))
    assert weights[0, 0].tolist() == [HEAVIEST - 1, 0, HEAVIEST - 1, HEAVIEST]


def test_components_are_connected_and_none_is_small() -> None:
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (160, 120))
    labels = segment(smooth(image, 0.8), 30.0, 25)
    count = labels.max() + 1
    assert count > 10
    assert np.bincount(labels.ravel()).min() >= 25
    for label in range(count):
        pieces = cv2.connectedComponents((labels == label).astype(np.uint8), connectivity=8)[0] - 1
        assert pieces == 1


def test_labels_are_numbered_by_first_appearance() -> None:
    labels = segment(smooth(picture(20, 20, seed=4), 0.6), 10.0, 1).ravel()
    _, first = np.unique(labels, return_index=True)
    assert (np.diff(first) > 0).all()


def test_blur_keeps_the_mean_and_lowers_the_contrast() -> None:
    image = picture(40, 40)
    blurred = smooth(image, 1.5)
    assert blurred.dtype == np.uint16
    assert abs(blurred.mean() / STEPS - image.mean()) < 0.5
    assert blurred.std() / STEPS < image.std()
