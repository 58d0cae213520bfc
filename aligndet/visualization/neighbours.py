"""Nearest neighbours of box embeddings: a box, and those of other images that the network thinks alike."""

import numpy as np

from aligndet.visualization.drawing import Colour, caption, montage

GAP = 4


def nearest(embeddings: np.ndarray, queries: np.ndarray, count: int, groups: np.ndarray) -> np.ndarray:
    """Rows of largest cosine similarity to each query row, best first, none of the query's own group.

    Args:
        embeddings: (n, D).
        queries: (q,) row numbers.
        count: neighbours per query.
        groups: (n,) what may not be its own neighbour: the image that a box is in.

    Returns:
        (q, count) row numbers; fewer columns where there are fewer rows of other groups.
    """
    unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    similarity = unit[queries] @ unit.T
    same_group = groups[queries][:, None] == groups[None, :]
    similarity[same_group] = -np.inf
    count = min(count, len(groups) - int(same_group.sum(axis=1).max()))
    return np.argsort(-similarity, axis=1, kind="stable")[:, :count]


def draw_neighbours(
    crops: np.ndarray, queries: np.ndarray, nearest_rows: np.ndarray, names: list[str] | None = None
) -> np.ndarray:
    """One row per query: its crop, set apart by a dark bar, then its neighbours, best first.

    Args:
        crops: (n, S, S, 3) uint8 BGR.
        queries: (q,) row numbers.
        nearest_rows: (q, k) row numbers of the neighbours.
        names: n captions, or None for none.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    tiles = [caption(crop, names[row]) if names else crop for row, crop in enumerate(crops)]
    bar: Colour = (60, 60, 60)
    rows = []
    for query, neighbours in zip(queries, nearest_rows, strict=True):
        right = montage([tiles[int(row)] for row in neighbours], columns=max(1, len(neighbours)), gap=GAP)
        left = tiles[int(query)]
        edge = np.full((left.shape[0], GAP, 3), bar, np.uint8)
        rows.append(np.concatenate([left, edge, right], axis=1))
    return montage(rows, columns=1, gap=GAP)


def same_class(names: list[str], neighbours: np.ndarray) -> tuple[float, float]:
    """Share of neighbours that are of their box's class, and the share that chance would give.

    Args:
        names: class of each of n boxes.
        neighbours: (n, k) row numbers, of every box in order.
    """
    array = np.array(names)
    hit = float((array[neighbours] == array[:, None]).mean())
    chance = float(np.mean([(array == name).mean() for name in array]))
    return hit, chance
