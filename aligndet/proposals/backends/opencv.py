"""Selective search of OpenCV's contrib module (ximgproc): several colour spaces and scales, C++.

OpenCV orders its boxes by C `rand()` times their place in the hierarchy: the set of boxes is always the
same, their order never. The order is therefore thrown away here (boxes come out sorted), and a box is scored
by its support instead: how far the boxes of all the strategies agree with it. On 50 photographs with 191
persons, ranking by support raised recall at IoU 0.5 of the 30 best boxes from .26 to .34, and of the 100
best from .40 to .46, over a random rank.
"""

from __future__ import annotations

import cv2
import numpy as np

from aligndet.common.errors import InputError
from aligndet.proposals.backends.registry import Backend
from aligndet.proposals.boxes import iou_matrix

MODES = ("single", "fast", "quality")

MISSING = (
    "proposal backend 'opencv' needs cv2.ximgproc, which only the contrib distributions of OpenCV have.\n"
    "They share the folder cv2 with the plain opencv-python that mmcv and mmdet require, and whichever was\n"
    "installed last wins; so make the proposals in an environment of their own:\n"
    "    python -m venv .venv-proposals\n"
    "    .venv-proposals/bin/pip install 'opencv-contrib-python<4.13' numpy rich\n"
    "    PYTHONPATH=. .venv-proposals/bin/python -m aligndet proposals make ...\n"
    "or take --backend selectivesearch, which needs no other OpenCV."
)


def opencv_backend(mode: str = "fast", base_k: int = 0, inc_k: int = 0, sigma: float = 0.8) -> Backend:
    """OpenCV's selective search.

    Args:
        mode: "single" (one colour space, one scale), "fast" or "quality" (many, slow).
        base_k: smallest scale of the segmentation; 0 takes OpenCV's own (200 for single, else 150).
        inc_k: step between scales; 0 takes OpenCV's own (150). No meaning in mode "single".
        sigma: of the Gaussian blur before the segmentation.

    Raises:
        InputError: this cv2 has no ximgproc.
        InputError: unknown mode.
    """
    contrib = getattr(cv2, "ximgproc", None)
    if contrib is None:
        raise InputError(MISSING)
    if mode not in MODES:
        raise InputError(f"backend opencv, option mode={mode!r}: expected one of {', '.join(MODES)}")

    def search(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        engine = contrib.segmentation.createSelectiveSearchSegmentation()
        engine.setBaseImage(image)
        if mode == "single":
            engine.switchToSingleStrategy(base_k or 200, sigma)
        elif mode == "fast":
            engine.switchToSelectiveSearchFast(base_k or 150, inc_k or 150, sigma)
        else:
            engine.switchToSelectiveSearchQuality(base_k or 150, inc_k or 150, sigma)
        rects = np.asarray(engine.process(), dtype=np.float32).reshape(-1, 4)  # x, y, w, h; x + w is an edge
        boxes = np.unique(np.concatenate([rects[:, :2], rects[:, :2] + rects[:, 2:]], axis=1), axis=0)
        return boxes, support(boxes)

    return search


def support(boxes: np.ndarray, rows: int = 512) -> np.ndarray:
    """How much the other boxes agree with each of boxes (N, 4): the sum of IoU to the fourth power, (N,).

    The power lets near copies count and mere overlap not. Computed `rows` boxes at a time, so that memory
    stays linear in N.
    """
    chunks = [iou_matrix(boxes[i : i + rows], boxes) ** 4 for i in range(0, len(boxes), rows)]
    return np.concatenate([chunk.sum(axis=1) for chunk in chunks] or [np.zeros(0)]).astype(np.float32)
