"""Copy-and-paste compositing of InsLoc (arXiv 2102.08318, section 3.1) on plain arrays.

Images are (H, W, 3) uint8. A composite is one crop of the foreground, pasted as an opaque rectangle on
another image; the rectangle is the box that both networks look at.
"""

from __future__ import annotations

import mmcv
import numpy as np


def fit_inside(patch: np.ndarray, sides: tuple[int, int]) -> np.ndarray:
    """Resize a crop, keeping its aspect, into two sides: the long in the longer, the short in the shorter.

    Args:
        patch: (h, w, 3).
        sides: two sides in pixels, in any order. They bound the crop, they are not its size: a wide crop may
            come out with a short side well below both.
    """
    return mmcv.imrescale(patch, sides)


def paste(canvas: np.ndarray, patch: np.ndarray, left: int, top: int, feather: int = 0) -> np.ndarray:
    """A copy of the canvas with the patch on it.

    Args:
        canvas: (H, W, 3).
        patch: (h, w, 3), wholly inside the canvas.
        left: column of the patch's first pixel.
        top: row of the patch's first pixel.
        feather: width in pixels of a border inside the patch where it fades into the canvas; 0 is opaque.
    """
    height, width = patch.shape[:2]
    result = canvas.copy()
    region = result[top : top + height, left : left + width]
    if feather == 0:
        region[:] = patch
    else:
        alpha = fade(height, width, feather)[..., None]
        region[:] = np.rint(alpha * patch + (1 - alpha) * region).astype(np.uint8)
    return result


def fade(height: int, width: int, feather: int) -> np.ndarray:
    """(height, width) float32 opacity: 1 in the middle, falling linearly over ``feather`` pixels to the edge.

    The outermost pixel has ``0.5 / feather``, the next ``1.5 / feather``, and so on up to 1.
    """
    rows, columns = (np.arange(length, dtype=np.float32) for length in (height, width))
    down = np.minimum(rows, height - 1 - rows) + 0.5
    across = np.minimum(columns, width - 1 - columns) + 0.5
    return np.clip(np.minimum(down[:, None], across[None, :]) / feather, 0, 1)
