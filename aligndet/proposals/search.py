"""Searching images one by one: what a worker process does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from aligndet.common.images import UnreadableImageError, open_image
from aligndet.proposals.backends import Backend, MisfitError, Raw, make_backend, run_backend
from aligndet.proposals.boxes import area
from aligndet.proposals.filters import clip, filter_rows
from aligndet.proposals.layout import COLUMNS, OPTIONAL
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.result import ImageProposals


def search_files(names: Sequence[str], root: Path, options: ProposalOptions) -> list[ImageProposals]:
    """Proposals of the named images under `root`; a bad image gives an entry with `skipped` set."""
    cv2.setNumThreads(1)  # the cores are shared out among processes
    backend = make_backend(options.backend, **options.backend_options)
    return [_search_file(name, root, backend, options) for name in names]


def _search_file(name: str, root: Path, backend: Backend, options: ProposalOptions) -> ImageProposals:
    try:
        picture = open_image(root / name)
        found = search_image(picture.pixels, backend, options, name)
        note = "; ".join(text for text in (picture.note, found.note) if text)
        return replace(found, stamp=picture.stamp, note=note)
    except (UnreadableImageError, MisfitError) as error:
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
    scores, levels, clusters = (_column(raw, column, rows, name) for column in OPTIONAL)
    return ImageProposals(width, height, boxes, scores, levels, clusters, note=raw.note)


def _column(raw: Raw, column: str, rows: np.ndarray, name: str) -> np.ndarray | None:
    """Scores, levels or clusters of the rows; None where the backend gives none."""
    values = getattr(raw, column)
    if values is None:
        return None
    if len(values) != len(raw.boxes):
        raise ValueError(f"{name}: {len(raw.boxes)} boxes but {len(values)} {column}")
    chosen = np.asarray(values)[rows]
    if column == "levels":
        chosen = np.clip(chosen, -1, 32767)
    return chosen.astype(COLUMNS[column].dtype)


def _shrink(image: np.ndarray, max_side: int) -> tuple[np.ndarray, np.ndarray]:
    """A copy of at most max_side pixels, and the factors (4,) that bring its boxes back."""
    height, width = image.shape[:2]
    if not max_side or max(height, width) <= max_side:
        return image, np.ones(4, dtype=np.float32)
    factor = max_side / max(height, width)
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    copy = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return copy, np.asarray([width / small[0], height / small[1]] * 2, dtype=np.float32)
