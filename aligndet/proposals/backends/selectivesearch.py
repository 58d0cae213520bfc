"""Selective search of the PyPI package `selectivesearch`: one segmentation, merged pair by pair, in Python.

Its defaults here are those of SoCo, whose proposals AlignDet's were made with. It gives no scores.
"""

from __future__ import annotations

import warnings

import cv2
import numpy as np

from aligndet.common.errors import InputError
from aligndet.proposals.backends.registry import Backend

MISSING = (
    "proposal backend 'selectivesearch' needs the package of that name: "
    "pip install 'selectivesearch>=0.4' scikit-image"
)


def selectivesearch_backend(scale: float = 300.0, sigma: float = 0.9, min_size: int = 100) -> Backend:
    """Selective search in Python.

    Args:
        scale: of the first segmentation; larger means larger first regions.
        sigma: of the Gaussian blur before it, in pixels.
        min_size: smallest first region, in pixels.

    Raises:
        InputError: the package or scikit-image is missing.
    """
    try:
        from selectivesearch import selective_search
    except ImportError as error:
        raise InputError(f"{MISSING} ({error})") from error

    def search(image: np.ndarray) -> tuple[np.ndarray, None]:
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        with warnings.catch_warnings():  # it feeds floats to scikit-image's local binary patterns
            warnings.simplefilter("ignore", UserWarning)
            _, regions = selective_search(rgb, scale=scale, sigma=sigma, min_size=min_size)
        rects = np.asarray([region["rect"] for region in regions], dtype=np.float32).reshape(-1, 4)
        # a rect is x, y and the distance to its last pixel, so the box's far edge lies one further
        boxes = np.concatenate([rects[:, :2], rects[:, :2] + rects[:, 2:] + 1], axis=1)
        return boxes, None

    return search
