"""Searching images one by one: what a worker process does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from aligndet.common.images import UnreadableImageError, read_image
from aligndet.proposals.backends import Backend, Raw, make_backend, run_backend
from aligndet.proposals.boxes import area
from aligndet.proposals.filters import clip, filter_rows
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.result import ImageProposals


def search_files(names: Sequence[str], root: Path, options: ProposalOptions) -> list[ImageProposals]:
    """Proposals of the named images under `root`; a bad image gives an entry with `skipped` set."""
    cv2.setNumThreads(1)  # the cores are shared out among processes
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
    copy, scale = _shrink(image, 0 if getattr(backend, "whole_size", False) else options.max_side)
    raw = run_backend(backend, copy, name)
    boxes = np.asarray(raw.boxes, dtype=np.float32).reshape(-1, 4) * scale
    if options.filter is None:
        rows = np.flatnonzero(area(clip(boxes, height, width)) > 0)
    else:
        rows = filter_rows(boxes, raw.scores, height, width, options.filter, name)
    boxes = clip(boxes, height, width)[rows].round(2)
    return ImageProposals(width, height, boxes, *_others(raw, rows, name))


def _others(raw: Raw, rows: np.ndarray, name: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Scores and levels of the rows."""
    for column, values in (("scores", raw.scores), ("levels", raw.levels)):
        if values is not None and len(values) != len(raw.boxes):
            raise ValueError(f"{name}: {len(raw.boxes)} boxes but {len(values)} {column}")
    scores = None if raw.scores is None else np.asarray(raw.scores, dtype=np.float32)[rows]
    levels = None if raw.levels is None else np.clip(np.asarray(raw.levels)[rows], -1, 32767)
    return scores, None if levels is None else levels.astype(np.int16)


def _shrink(image: np.ndarray, max_side: int) -> tuple[np.ndarray, np.ndarray]:
    """A copy of at most max_side pixels, and the factors (4,) that bring its boxes back."""
    height, width = image.shape[:2]
    if not max_side or max(height, width) <= max_side:
        return image, np.ones(4, dtype=np.float32)
    factor = max_side / max(height, width)
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    copy = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return copy, np.asarray([width / small[0], height / small[1]] * 2, dtype=np.float32)
