"""Features and grouping against plain restatements: masks of pixels, and all pairs compared at every step."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from aligndet.proposals.selective.features import (
    COLOR_BINS,
    TEXTURE_BINS,
    borders,
    color_codes,
    describe,
    texture_codes,
)
from aligndet.proposals.selective.group import Hierarchy, group
from aligndet.proposals.selective.heap import drop, push
from aligndet.proposals.selective.segment import join_components, smooth, sort_edges, weigh_edges

USES = {"all": (1, 1, 1, 1), "texture, size, fill": (0, 1, 1, 1), "size": (0, 0, 1, 0), "fill": (0, 0, 0, 1)}


class Case:
    """A small segmented picture with everything that grouping starts from."""

    def __init__(self, seed: int = 0, height: int = 30, width: int = 40) -> None:
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        self.image = np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
        self.weights = weigh_edges(smooth(self.image, 0.8))
        self.labels = join_components(self.weights, sort_edges(self.weights), 20.0, 8)
        self.count = int(self.labels.max()) + 1
        self.colors = color_codes(self.image)
        self.texture = texture_codes(smooth(self.image[..., 1:2], 0.8)[..., 0])
        self.described = describe(self.labels, self.count, self.colors, self.texture)
        self.borders = borders(self.labels, self.count, self.weights)

    def group(self, use: tuple[float, ...]) -> Hierarchy:
        return group(*self.described, *self.borders, np.asarray(use, np.float32))

    def masks(self, tree: Hierarchy) -> list[np.ndarray]:
        """The pixels of every region of a hierarchy."""
        masks = [self.labels == label for label in range(self.count)]
        for region in range(self.count, len(tree.sizes)):
            first, second = children(tree, region)
            masks.append(masks[first] | masks[second])
        return masks


def children(tree: Hierarchy, region: int) -> list[int]:
    return [child for child in np.flatnonzero(tree.parents == region).tolist() if child != region]


def box_of(mask: np.ndarray) -> list[int]:
    ys, xs = np.nonzero(mask)
    return [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


def literal_similarity(case: Case, a: np.ndarray, b: np.ndarray, use: tuple[float, ...]) -> float:
    """Equations 2 to 6 of the paper, from the pixels of two regions."""
    area = a.size

    def shares(mask: np.ndarray, codes: np.ndarray, bins: int) -> np.ndarray:
        return np.bincount(codes[mask], minlength=bins) / mask.sum()

    colors = [case.colors[..., c] for c in range(3)]
    color = sum(np.minimum(shares(a, c, COLOR_BINS), shares(b, c, COLOR_BINS)).sum() for c in colors) / 3
    texture = np.minimum(*(shares(m, case.texture, TEXTURE_BINS) for m in (a, b))).sum()
    size = 1 - (a.sum() + b.sum()) / area
    x1, y1, x2, y2 = box_of(a | b)
    fill = 1 - ((x2 - x1) * (y2 - y1) - a.sum() - b.sum()) / area
    return float(np.dot(use, [color, texture, size, fill]))


def test_pictures_have_enough_regions_to_group() -> None:
    assert all(8 <= Case(seed).count <= 60 for seed in range(3))


def test_features_are_those_of_the_pixels() -> None:
    case = Case()
    boxes, sizes, histograms = case.described
    for label in range(case.count):
        mask = case.labels == label
        assert boxes[label].tolist() == box_of(mask)
        assert sizes[label] == mask.sum()
        expected = [np.bincount(case.colors[mask][:, c], minlength=COLOR_BINS) for c in range(3)]
        expected.append(np.bincount(case.texture[mask], minlength=TEXTURE_BINS))
        np.testing.assert_array_equal(histograms[label], np.concatenate(expected))


def test_color_bins_divide_the_range_evenly() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 256, 1)
    codes = color_codes(levels).ravel()
    assert codes[0] == 0
    assert codes[-1] == COLOR_BINS - 1
    assert set(np.bincount(codes)) <= {10, 11}


def test_texture_tells_directions_and_strengths_apart() -> None:
    ramp = np.tile(np.arange(20, dtype=np.uint16) * 16, (20, 1))
    turned = [
        np.ascontiguousarray(np.rot90(ramp * strength, turn)) for turn in range(4) for strength in (4, 12)
    ]
    codes = [int(texture_codes(image)[10, 10]) for image in turned]
    assert len(set(codes)) == len(codes)
    assert max(codes) < TEXTURE_BINS


def test_borders_count_the_pixel_pairs_and_their_weights() -> None:
    case = Case()
    expected: dict[tuple[int, int], list[int]] = {}
    height, width = case.labels.shape
    for y in range(height):
        for x in range(width):
            for side, (ny, nx) in enumerate(((y, x + 1), (y + 1, x))):
                if ny < height and nx < width and case.labels[y, x] != case.labels[ny, nx]:
                    pair = tuple(sorted((int(case.labels[y, x]), int(case.labels[ny, nx]))))
                    entry = expected.setdefault((pair[0], pair[1]), [0, 0])
                    entry[0] += 1
                    entry[1] += int(case.weights[y, x, side])
    pairs, lengths, strengths = case.borders
    found = {tuple(p): [n, s] for p, n, s in zip(pairs.tolist(), lengths, strengths, strict=True)}
    assert found == expected


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_every_merge_is_of_the_most_similar_neighbours(use: tuple[float, ...]) -> None:
    case = Case(seed=1)
    tree = case.group(use)
    masks = case.masks(tree)
    near = {frozenset(pair) for pair in case.borders[0].tolist()}
    alive = set(range(case.count))
    for region in range(case.count, len(tree.sizes)):
        scores = {(a, b): literal_similarity(case, masks[a], masks[b], use) for a, b in map(sorted, near)}
        merged = frozenset(children(tree, region))
        assert merged in near
        assert scores[min(merged), max(merged)] >= max(scores.values()) - 2e-3, (
            "shares are rounded down to 1 / 16384"
        )
        alive = alive - merged | {region}
        near = {frozenset(region if r in merged else r for r in pair) for pair in near if pair != merged}
    assert alive == {len(tree.sizes) - 1}


@pytest.mark.parametrize("seed", range(3))
def test_hierarchy(seed: int) -> None:
    case = Case(seed)
    tree = case.group(USES["all"])
    masks = case.masks(tree)
    total = 2 * case.count - 1
    assert len(tree.boxes) == len(tree.sizes) == len(tree.contours) == total
    for region, mask in enumerate(masks):
        assert tree.boxes[region].tolist() == box_of(mask)
        assert tree.sizes[region] == mask.sum()
        assert len(children(tree, region)) == (0 if region < case.count else 2)
    assert masks[-1].all()
    assert (tree.parents[:-1] > np.arange(total - 1)).all()


def test_contours_are_mean_weights_along_the_outline() -> None:
    case = Case(seed=2)
    tree = case.group(USES["all"])
    for region, mask in enumerate(case.masks(tree)):
        across = mask[:, 1:] != mask[:, :-1], mask[1:] != mask[:-1]
        weights = np.concatenate([case.weights[:, :-1, 0][across[0]], case.weights[:-1, :, 1][across[1]]])
        expected = weights.mean() if len(weights) else 0
        assert tree.contours[region] == pytest.approx(expected, rel=1e-5)


def test_one_region_is_its_own_hierarchy() -> None:
    labels = np.zeros((3, 4), np.int32)
    flat = np.zeros((3, 4, 3), np.uint8)
    described = describe(labels, 1, color_codes(flat), texture_codes(np.zeros((3, 4), np.uint16)))
    touching = borders(labels, 1, weigh_edges(smooth(flat, 0)))
    tree = group(*described, *touching, np.ones(4, np.float32))
    assert tree.boxes.tolist() == [[0, 0, 4, 3]]
    assert tree.sizes.tolist() == [12]


def test_heap_gives_back_in_order_and_grows() -> None:
    rng = np.random.default_rng(0)
    entries = [(float(k), int(a), int(b)) for k, a, b in rng.integers(0, 20, (300, 3))]
    keys, pairs = np.empty(2, np.float32), np.empty((2, 2), np.int32)
    for used, (key, a, b) in enumerate(entries):
        keys, pairs = push(keys, pairs, used, np.float32(key), a, b)
    out = []
    for used in range(len(entries), 0, -1):
        out.append((float(keys[0]), *pairs[0].tolist()))
        drop(keys, pairs, used)
    assert out == sorted(entries, key=lambda entry: (-entry[0], entry[1], entry[2]))
