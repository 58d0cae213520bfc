"""How well proposals cover true boxes: recall at a budget of boxes per image, and average recall.

A true box counts as found when any of the image's first k proposals overlaps it enough; one proposal may find
several. Hosang et al., "What makes for effective detection proposals?", PAMI 2016: recall over budgets, and
average recall (AR), the mean of the recalls at IoU 0.5, 0.55 ... 0.95.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from aligndet.common import notices
from aligndet.common.errors import InputError
from aligndet.common.labels.file import LabelFile
from aligndet.common.labels.reader import read_labels
from aligndet.proposals.boxes import area, iou_matrix
from aligndet.proposals.formats import read_proposals
from aligndet.proposals.store import ProposalStore

BUDGETS = (10, 50, 100, 300, 1000)
IOUS = np.linspace(0.5, 0.95, 10)
SIZES = {"all": (0, np.inf), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, np.inf)}


@dataclass(frozen=True)
class Coverage:
    """How well each true box is covered.

    Attributes:
        budgets: (K,) numbers of proposals per image.
        best: (M, K) IoU of the best of the image's first k proposals; 0 where there is none.
        areas: (M,) of the true boxes, in pixels.
        images: images that both files have.
        missing: images of the true boxes without an entry among the proposals.
        mean: proposals per image.
    """

    budgets: tuple[int, ...]
    best: np.ndarray
    areas: np.ndarray
    images: int
    missing: int
    mean: float

    def of_size(self, size: str) -> np.ndarray:
        """Mask (M,) of the true boxes of one of :data:`SIZES`, by the area of the box (COCO: of the mask)."""
        low, high = SIZES[size]
        return (self.areas >= low) & (self.areas < high)

    def recall(self, iou: float = 0.5, size: str = "all") -> np.ndarray:
        """(K,) share of the true boxes found at each budget; nan where there is none of the size."""
        return _mean(self.best[self.of_size(size)] >= iou)

    def average_recall(self, size: str = "all") -> np.ndarray:
        """(K,) mean recall over IoU 0.5 to 0.95."""
        best = self.best[self.of_size(size)]
        return _mean((best[..., None] >= IOUS - 1e-9).mean(axis=2))

    def table(self) -> str:
        """What a person reads."""
        head = [f"@{budget}" for budget in self.budgets]
        lines = [f"{'':22}{'true boxes':>11}" + "".join(f"{text:>8}" for text in head)]
        rows = [("recall IoU 0.5", "all", self.recall())]
        rows += [(f"AR .5:.95 {size}", size, self.average_recall(size)) for size in SIZES]
        for label, size, values in rows:
            cells = "".join(f"{'-' if np.isnan(value) else f'{value:.3f}':>8}" for value in values)
            lines.append(f"{label:22}{self.of_size(size).sum():>11}{cells}")
        lines.append(f"{self.images} images, {self.mean:.1f} proposals per image")
        if self.missing:
            lines.append(f"{self.missing} labelled images are not among the proposals and are left out")
        return "\n".join(lines)


class ImageFinder:
    """Finds an image by its name, or by its name without folders where that is unambiguous."""

    def __init__(self, proposals: ProposalStore) -> None:
        self.proposals = proposals
        self._rows: dict[str, int | None] | None = None

    def __call__(self, name: str) -> int | None:
        try:
            return self.proposals.find(name)
        except KeyError:
            pass
        if self._rows is None:
            self._rows = {}
            for row in range(len(self.proposals)):
                short = PurePosixPath(self.proposals.file_name(row)).name
                self._rows[short] = None if short in self._rows else row
        return self._rows.get(PurePosixPath(name).name)


def coverage(proposals: ProposalStore, truth: LabelFile, budgets: Sequence[int] = BUDGETS) -> Coverage:
    """Compare proposals with true boxes, image by image (memory: one row for each true box).

    Args:
        proposals: ranked by their scores where they have any, else in their order.
        truth: labels; crowds do not count. Where they are of images of another size than the proposals, of
            equal shape, their boxes are brought to the size of the proposals.
        budgets: numbers of proposals per image.

    Raises:
        InputError: the two have no image in common, or images of another shape.
    """
    best, areas, counts, missing = [], [], [], 0
    find = ImageFinder(proposals)
    scales = _Scales(proposals, truth)
    of_image = _boxes_of(truth)
    for image, name in enumerate(truth.names):
        row = find(name)
        if row is None:
            missing += 1
            continue
        boxes = proposals.boxes(row)[ranked_rows(proposals, row)]
        true = of_image[image] * scales(image, row)
        counts.append(len(boxes))
        areas.append(area(true))
        best.append(_best(iou_matrix(true, boxes), budgets))
    scales.tell()
    if not counts:
        raise InputError(
            f"none of the {len(truth.names)} labelled images is among the {len(proposals)} images with "
            f"proposals, e.g. {truth.names[0]} and {proposals.file_name(0)}"
            if truth.names and len(proposals)
            else "no images to compare"
        )
    return Coverage(
        tuple(budgets),
        np.concatenate(best),
        np.concatenate(areas),
        len(counts),
        missing,
        float(np.mean(counts)),
    )


def _boxes_of(truth: LabelFile) -> list[np.ndarray]:
    """Boxes (n, 4) float32 xyxy of each image; crowds are left out."""
    real = np.flatnonzero(~truth.crowd)
    order = real[np.argsort(truth.rows[real], kind="stable")]
    ends = np.searchsorted(truth.rows[order], np.arange(1, len(truth.names)))
    return np.split(truth.xyxy[order].astype(np.float32), ends)


class _Scales:
    """Gives the factor that brings true boxes to the size that proposals were made at."""

    def __init__(self, proposals: ProposalStore, truth: LabelFile) -> None:
        self.proposals, self.truth = proposals, truth
        self.scaled: list[str] = []

    def __call__(self, image: int, row: int) -> float:
        there, here = self.proposals.size(row), tuple(self.truth.sizes[image].tolist())
        if there == here or min(*there, *here) <= 0:
            return 1.0
        factor = there[0] / here[0]
        words = "{} is {}x{} in the labels and {}x{} in the proposals".format(
            self.truth.names[image], *here, *there
        )
        if abs(here[1] * factor - there[1]) > 1 + factor:
            raise InputError(f"{self.truth.path}: other sizes: {words}; are these labels of the same images?")
        self.scaled.append(words)
        return factor

    def tell(self) -> None:
        """Say how many images were brought to another size."""
        if self.scaled:
            notices.warn(
                f"{self.truth.path}: {len(self.scaled)} images of another size, such as {self.scaled[0]}: "
                "their true boxes are brought to the size of the proposals"
            )


def ranked_rows(proposals: ProposalStore, image: int) -> np.ndarray:
    """(n,) places of an image's boxes, best first: by falling score, or as on file where there are none."""
    scores = proposals.column("scores", image)
    count = len(proposals.boxes(image))
    return np.arange(count) if scores is None else np.argsort(-scores, kind="stable")


def recall_of_files(proposals: Path, truth: Path, iou: float = 0.5) -> tuple[float, int]:
    """Recall of all proposals of a file against a labelled COCO json, and the number of images compared."""
    covered = coverage(read_proposals(proposals), read_labels(truth), budgets=(1 << 30,))
    return float(covered.recall(iou)[0]), covered.images


def _best(iou: np.ndarray, budgets: Sequence[int]) -> np.ndarray:
    """(M, N) IoU to (M, K) best among the first k."""
    if not iou.shape[1]:
        return np.zeros((iou.shape[0], len(budgets)))
    running = np.maximum.accumulate(iou, axis=1)
    return running[:, np.minimum(budgets, iou.shape[1]) - 1]


def _mean(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=0) if len(values) else np.full(values.shape[1:], np.nan)


def numbers(covered: Coverage) -> dict[str, Any]:
    """The table as plain data: ``{"budgets", "recall", "average_recall": {size: ...}, "images", ...}``."""

    def plain(values: np.ndarray) -> list[float | None]:
        return [None if np.isnan(value) else value for value in values.tolist()]  # json has no nan

    return {
        "budgets": list(covered.budgets),
        "recall": plain(covered.recall()),
        "average_recall": {size: plain(covered.average_recall(size)) for size in SIZES},
        "true_boxes": {size: int(covered.of_size(size).sum()) for size in SIZES},
        "images": covered.images,
        "missing": covered.missing,
        "proposals_per_image": covered.mean,
    }
