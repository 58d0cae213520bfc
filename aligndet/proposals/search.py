"""Searching images one by one: what a worker process does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .backends import Backend, make_backend
from .coco import ImageProposals
from .filters import filter_boxes
from .images import UnreadableImageError, read_image

if TYPE_CHECKING:
    from .runner import ProposalOptions


def search_files(names: Sequence[str], root: Path, options: ProposalOptions) -> list[ImageProposals]:
    """Proposals of the named images under `root`; a bad image gives an entry with `skipped` set."""
    backend = make_backend(options.backend, **options.backend_options)
    return [_search_file(name, root, backend, options) for name in names]


def _search_file(name: str, root: Path, backend: Backend, options: ProposalOptions) -> ImageProposals:
    try:
        return search_image(read_image(root / name), backend, options, name)
    except UnreadableImageError as error:
        return ImageProposals(skipped=str(error))
    except Exception as error:  # one strange image must not end a run over many
        return ImageProposals(skipped=f"backend {options.backend} failed: {type(error).__name__}: {error}")


def search_image(image: np.ndarray, backend: Backend, options: ProposalOptions, name: str) -> ImageProposals:
    """Proposals of one decoded image (H, W, 3) uint8 BGR; `name` fixes the random rank."""
    height, width = image.shape[:2]
    copy, scale = _shrink(image, options.max_side)
    boxes, scores = backend(copy)
    boxes = np.asarray(boxes, dtype=np.float32).reshape(-1, 4) * scale
    boxes, scores = filter_boxes(boxes, scores, height, width, options.filter, name)
    rows = tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in boxes.round(2))
    return ImageProposals(width, height, rows, None if scores is None else tuple(map(float, scores)))


def _shrink(image: np.ndarray, max_side: int) -> tuple[np.ndarray, np.ndarray]:
    """A copy of at most max_side pixels, and the factors (4,) that bring its boxes back."""
    height, width = image.shape[:2]
    if not max_side or max(height, width) <= max_side:
        return image, np.ones(4, dtype=np.float32)
    factor = max_side / max(height, width)
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    copy = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return copy, np.asarray([width / small[0], height / small[1]] * 2, dtype=np.float32)
