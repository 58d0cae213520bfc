"""Our own selective search, see :mod:`aligndet.proposals.selective`. Needs numpy, OpenCV (any) and numba."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aligndet.common.errors import InputError
from aligndet.proposals.backends.registry import Backend

MISSING = "proposal backend 'fast' needs numba, which compiles its loops: pip install 'numba>=0.60'"


def fast_backend(mode: str = "fast", limit: int = 0, side: int = 0) -> Backend:
    """Selective search, compiled by numba, ranked.

    Args:
        mode: "single" (320 boxes), "fast" (1,500) or "quality" (5,300).
        limit: most boxes per image; 0 takes the mode's.
        side: search a copy of at most this many pixels along its longer side; 0 takes the mode's.

    Raises:
        InputError: numba is missing.
        InputError: unknown mode, or a negative number.
    """
    try:
        from aligndet.proposals.selective.search import MODES, selective_search
    except ImportError as error:
        raise InputError(f"{MISSING} ({error})") from error
    if mode not in MODES:
        raise InputError(f"backend fast, option mode={mode!r}: expected one of {', '.join(MODES)}")
    if limit < 0 or side < 0:
        raise InputError(f"backend fast, options limit={limit}, side={side}: expected 0 or more")
    options = replace(MODES[mode], limit=limit or MODES[mode].limit, side=side or MODES[mode].side)

    def search(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        boxes, levels = selective_search(image, options)
        # the score is the rank: 1 for the best box, falling evenly to 0
        return boxes, np.linspace(1, 0, len(boxes), endpoint=False, dtype=np.float32), levels

    return search
