"""What a backbone's features know: labelled boxes, cropped, told apart by neighbours or by a linear layer.

The features are frozen and nothing of the detector is used, so the numbers compare backbones cheaply; they do
not replace fine-tuning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from aligndet.common.errors import InputError
from aligndet.image_domain.normalisation import IMAGENET, Normalisation
from aligndet.labels.boxes import LabelledBoxes, read_boxes, with_pixels


@dataclass(frozen=True)
class Crops:
    """Box crops: (n, 3, S, S) uint8 BGR, (n,) class ids, and the names of those classes by id."""

    pixels: Tensor
    labels: np.ndarray
    names: dict[int, str]


@dataclass(frozen=True)
class Score:
    """Shares of right answers on the test crops: over all crops, and averaged over the classes."""

    top1: float
    balanced: float


def read_crops(
    ann_file: Path,
    images: Path,
    side: int = 128,
    min_side: float = 32,
    limit: int | None = None,
    seed: int = 0,
) -> Crops:
    """Cut every labelled box out of its image and resize it to a square.

    Args:
        ann_file: COCO json.
        images: folder its file names are relative to.
        side: of the square, in pixels.
        min_side: boxes with a shorter side, in pixels of the image, are left out, and crowds.
        limit: at most this many boxes, drawn at random.
        seed: of that draw.

    Raises:
        InputError: no box is left, or the file is no COCO json with boxes.
    """
    labels = read_boxes(ann_file, lambda box: _usable(box, min_side), limit, seed)
    cut = list(_cut(labels, images, side))
    if not cut:
        raise InputError(f"{ann_file}: no box of at least {min_side} px in a readable image below {images}")
    pixels = torch.from_numpy(np.stack([crop for crop, _ in cut])).permute(0, 3, 1, 2)
    return Crops(pixels, np.array([label for _, label in cut]), labels.names)


def _usable(box: dict, min_side: float) -> bool:
    return min(box["bbox"][2:]) >= min_side and not box.get("iscrowd")


def _cut(labels: LabelledBoxes, images: Path, side: int) -> Iterator[tuple[np.ndarray, int]]:
    """Crops with their class."""
    by_image = sorted(labels.boxes, key=lambda box: box["image_id"])
    for box, pixels in with_pixels(by_image, labels.files, images):
        x, y, w, h = (round(float(value)) for value in box["bbox"])
        crop = pixels[max(0, y) : y + h, max(0, x) : x + w]
        if crop.size:
            yield cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA), box["category_id"]


@torch.no_grad()
def features(
    backbone: nn.Module, crops: Tensor, normalisation: Normalisation = IMAGENET, batch_size: int = 64
) -> np.ndarray:
    """(n, C) float32: the backbone's last map, averaged over the crop.

    Args:
        backbone: an mmdet backbone; it is put into evaluation mode.
        crops: (n, 3, S, S) uint8 BGR.
        normalisation: of the backbone's training.
        batch_size: crops per forward pass.
    """
    backbone.eval()  # returns None in mmdet
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (normalisation.mean, normalisation.std))
    rows = []
    for part in crops.split(batch_size):
        pixels = part.flip(1) if normalisation.channel_order == "rgb" else part
        rows.append(backbone((pixels.float() - mean) / std)[-1].mean(dim=(2, 3)))
    return torch.cat(rows).numpy()


def centred(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sets standardised by the training set: what all crops share tells nothing."""
    mean, std = train.mean(axis=0), train.std(axis=0) + 1e-6
    return (train - mean) / std, (test - mean) / std


def nearest_neighbours(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int = 20, temperature: float = 0.07
) -> np.ndarray:
    """Classes of the test features, voted for by the k training features of largest cosine similarity.

    Votes weigh ``exp(similarity / temperature)``, as is usual since Wu et al. (arXiv 1805.01978).

    Args:
        train: (n, C). labels: (n,). test: (m, C).
        k: voters; fewer where there are fewer training features.
        temperature: of the weights.

    Returns:
        (m,) labels.
    """
    classes, index = np.unique(labels, return_inverse=True)
    rows, columns = (functional.normalize(torch.from_numpy(part).float()) for part in (test, train))
    similarity, voters = (rows @ columns.T).topk(min(k, len(train)), dim=1)
    votes = torch.zeros(len(test), len(classes))
    votes.scatter_add_(1, torch.from_numpy(index)[voters], (similarity / temperature).exp())
    return classes[votes.argmax(dim=1).numpy()]


def linear(train: np.ndarray, labels: np.ndarray, test: np.ndarray, strength: float = 0.01) -> np.ndarray:
    """Classes of the test features by logistic regression; ``strength`` is scikit-learn's C."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=300).fit(train, labels).predict(test)


def score(predicted: np.ndarray, labels: np.ndarray) -> Score:
    """Compare predicted with true classes."""
    right = predicted == labels
    per_class = [right[labels == label].mean() for label in np.unique(labels)]
    return Score(float(right.mean()), float(np.mean(per_class)))


def common_classes(train: np.ndarray, test: np.ndarray, least: int = 10) -> np.ndarray:
    """Class ids with at least ``least`` crops in both sets, ascending.

    Raises:
        InputError: fewer than two; there is nothing to tell apart.
    """
    counts = Counter(train.tolist()), Counter(test.tolist())
    kept = sorted(label for label in counts[0] if min(count[label] for count in counts) >= least)
    if len(kept) < 2:
        raise InputError(
            f"only {len(kept)} classes have {least} boxes in both files, a probe needs two: lower --least"
        )
    return np.array(kept)


def probe(
    backbone: nn.Module,
    train: Crops,
    test: Crops,
    normalisation: Normalisation = IMAGENET,
    least: int = 10,
    k: int = 20,
) -> dict[str, Score]:
    """Both probes of one backbone; see :func:`common_classes` for ``least``."""
    kept = common_classes(train.labels, test.labels, least)
    inside = [np.isin(crops.labels, kept) for crops in (train, test)]
    pixels = [crops.pixels[torch.from_numpy(rows)] for crops, rows in zip((train, test), inside, strict=True)]
    taught, asked = train.labels[inside[0]], test.labels[inside[1]]
    x, y = centred(*(features(backbone, part, normalisation) for part in pixels))
    majority = np.full(len(asked), Counter(taught.tolist()).most_common(1)[0][0])
    return {
        "largest class": score(majority, asked),
        f"{k} neighbours": score(nearest_neighbours(x, taught, y, k), asked),
        "linear": score(linear(x, taught, y), asked),
    }
