"""What else could have been done: other rankings of the same boxes, other strategies of the same search.

    python benchmarks/proposal_ranking.py annotations/train.json --images-root images --count 100
    python benchmarks/proposal_ranking.py annotations/train.json --images-root images --study strategies

Rankings: the boxes of the `fast` search are put in order by one cue or formula after the other. Columns are
recall at IoU 0.5 / AR of the first 50 and 100 boxes after the paper's filter, and of the first 1,500 of all
boxes (thinned at IoU 0.85 for every ranking but the last, which thins itself). Strategies: what the search
finds with one choice changed. docs/proposals.md holds the outcome. Choose on some images, report on others.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from proposals import best_iou, read_truth, recall_and_ar

from aligndet.common.images import read_image
from aligndet.proposals.filters import FilterOptions, filter_boxes
from aligndet.proposals.selective.overlap import close_pairs, support, thin
from aligndet.proposals.selective.rank import Pool, rank
from aligndet.proposals.selective.search import MODES, gather, hierarchies, selective_search, shrink

Array = np.ndarray
RULE = FilterOptions(max_per_image=100)
SEARCH = MODES["fast"]


@dataclass
class Case:
    """One image: its pool, what ranking needs of it, and the truth in pixels of the searched copy."""

    pool: Pool
    near: tuple[Array, Array, Array]
    copy: Array
    truth: Array
    scale: float  # pixels of the image per pixel of the copy


def prepare(image: Array, truth: Array) -> Case:
    copy = shrink(image, SEARCH.side)
    pool = gather(list(hierarchies(copy, SEARCH)))
    scale = max(image.shape[:2]) / max(copy.shape[:2])
    return Case(pool, close_pairs(pool.boxes), copy, truth / scale, scale)


def area(case: Case) -> Array:
    sides = case.pool.boxes[:, 2:] - case.pool.boxes[:, :2]
    return sides[:, 0] * sides[:, 1].astype(np.float64)


def ring_contrast(case: Case) -> Array:
    """(N,) how far the mean Lab colour of a box differs from that of the frame of half its size around it."""
    lab = cv2.cvtColor(case.copy, cv2.COLOR_BGR2Lab)
    sums = cv2.integral(lab, sdepth=cv2.CV_64F)

    def total(boxes: Array) -> tuple[Array, Array]:
        x1, y1, x2, y2 = boxes.T
        pixels = ((x2 - x1) * (y2 - y1))[:, None]
        return sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1], pixels

    boxes = case.pool.boxes
    margin = (boxes[:, 2:] - boxes[:, :2]) // 4
    bounds = np.array(lab.shape[1::-1])
    outer = np.concatenate(
        [(boxes[:, :2] - margin).clip(0), np.minimum(boxes[:, 2:] + margin, bounds)], axis=1
    )
    (inside, pixels), (around, both) = total(boxes), total(outer)
    frame = np.maximum(both - pixels, 1)
    return np.linalg.norm(inside / pixels - (around - inside) / frame, axis=1) * (both > pixels)[:, 0]


def off_centre(case: Case) -> Array:
    """(N,) distance of a box's centre from the image's, in image sides."""
    centre = (case.pool.boxes[:, :2] + case.pool.boxes[:, 2:]) / 2 / case.copy.shape[1::-1]
    return np.linalg.norm(centre - 0.5, axis=1)


def at_border(case: Case) -> Array:
    """(N,) how many sides of the image a box touches."""
    bounds = np.array([0, 0, *case.copy.shape[1::-1]])
    return (case.pool.boxes == bounds).sum(axis=1)


def head(case: Case) -> Array:
    """The formula of the first part of our order."""
    pool = case.pool
    return support(*case.near) * pool.tightness * (pool.contours + 1) ** 0.25


RANKINGS: dict[str, Callable[[Case], Array]] = {
    "random": lambda case: np.random.default_rng(0).random(len(case.pool.boxes)),
    "large first": area,
    "small first": lambda case: -area(case),
    "late in the hierarchy first": lambda case: case.pool.levels,
    "random x level (Uijlings et al.)": lambda case: (
        (case.pool.levels + 0.01) * np.random.default_rng(0).random(len(case.pool.boxes))
    ),
    "contour": lambda case: case.pool.contours,
    "tightness": lambda case: case.pool.tightness,
    "colour contrast with the surroundings": ring_contrast,
    "support": lambda case: support(*case.near),
    "support x tightness": lambda case: support(*case.near) * case.pool.tightness,
    "support x contour^(1/4)": lambda case: support(*case.near) * (case.pool.contours + 1) ** 0.25,
    "support x tightness x contour^(1/4) = H": head,
    "H x level^(1/4)": lambda case: head(case) * (case.pool.levels + 0.01) ** 0.25,
    "H x area^(-1/4)": lambda case: head(case) * area(case) ** -0.25,
    "H x area^(1/4)": lambda case: head(case) * area(case) ** 0.25,
    "H x colour contrast^(1/2)": lambda case: head(case) * np.sqrt(ring_contrast(case) + 1),
    "H x exp(-distance from the centre)": lambda case: head(case) * np.exp(-off_centre(case)),
    "H x exp(-sides at the border / 4)": lambda case: head(case) * np.exp(-at_border(case) / 4),
}


def order_by(score: Array, case: Case) -> Array:
    """Indices of the boxes, best first, without near copies."""
    taken = np.zeros(len(score), bool)
    return thin(np.argsort(-score, kind="stable"), *case.near, SEARCH.overlap, len(score), taken)


def cells(orders: list[Array], cases: list[Case]) -> str:
    """Recall / AR of the first 50 and 100 filtered and the first 1,500 boxes."""
    best: dict[int, list[Array]] = {50: [], 100: [], 1500: []}
    for order, case in zip(orders, cases, strict=True):
        boxes = case.pool.boxes[order].astype(np.float32)
        height, width = (side * case.scale for side in case.copy.shape[:2])
        falling = np.linspace(1, 0, len(boxes), endpoint=False)
        kept = filter_boxes(boxes * case.scale, falling, round(height), round(width), RULE)[0] / case.scale
        for budget in (50, 100):
            best[budget].append(best_iou(case.truth, kept[:budget]))
        best[1500].append(best_iou(case.truth, boxes[:1500]))
    return " | ".join(" / ".join(recall_and_ar(values)) for values in best.values())


def rankings(images: list[tuple[Array, Array]]) -> None:
    cases = [prepare(image, truth) for image, truth in images]
    print("| ranking | first 50 | first 100 | 1,500 of all |\n|---|---|---|---|")
    for name, score in RANKINGS.items():
        print(f"| {name} | {cells([order_by(score(case), case) for case in cases], cases)} |", flush=True)
    ours = [rank(case.pool, 1500, SEARCH.overlap) for case in cases]
    print(f"| ours: H, then the tail | {cells(ours, cases)} |")


STRATEGIES: dict[str, dict[str, Any]] = {
    "one: Lab, k 100, all four terms": {"colors": ("lab",), "scales": (100.0,), "similarities": ("ctsf",)},
    "+ three more similarities": {"colors": ("lab",), "scales": (100.0,)},
    "+ k 50": {"colors": ("lab",), "scales": (50.0, 100.0)},
    "+ k 200": {"colors": ("lab",)},
    "+ HSV: the mode fast": {},
    "fast + RGB's chromaticity": {"colors": ("lab", "hsv", "rgi")},
    "fast + grey": {"colors": ("lab", "hsv", "gray")},
    "fast at 256 pixels": {"side": 256},
    "fast at 400 pixels": {"side": 400},
    "fast, first regions of 10 pixels": {"min_size": 10},
    "fast, first regions of 40 pixels": {"min_size": 40},
}


def strategies(images: list[tuple[Array, Array]]) -> None:
    print("| strategy | s/image | boxes | all boxes: recall / AR | first 1,500 |\n|---|---|---|---|---|")
    for name, change in STRATEGIES.items():
        options = replace(SEARCH, limit=0, **change)
        selective_search(images[0][0], options)
        start = time.thread_time()
        per_image = [selective_search(image, options).boxes for image, _ in images]
        seconds = (time.thread_time() - start) / len(images)
        count = np.mean([len(boxes) for boxes in per_image])
        best = [
            [best_iou(t, b[:n]) for b, (_, t) in zip(per_image, images, strict=True)] for n in (None, 1500)
        ]
        values = " | ".join(" / ".join(recall_and_ar(part)) for part in best)
        print(f"| {name} | {seconds:.3f} | {count:.0f} | {values} |", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("annotations", type=Path, help="labelled COCO json")
    parser.add_argument("--images-root", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100, help="the first images of the json; 0 takes all")
    parser.add_argument("--study", choices=("rankings", "strategies"), default="rankings")
    args = parser.parse_args(argv)
    cv2.setNumThreads(1)
    truths = read_truth(args.annotations, args.count)
    images = [(read_image(args.images_root / name), truth) for name, truth in truths]
    {"rankings": rankings, "strategies": strategies}[args.study](images)
    return 0


if __name__ == "__main__":
    sys.exit(main())
