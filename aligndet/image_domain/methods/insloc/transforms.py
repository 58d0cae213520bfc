"""The compositing as a transform: an image and its backgrounds become a composite with one box."""

from __future__ import annotations

from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import HorizontalBoxes

from aligndet.common.errors import InputError
from aligndet.image_domain.methods.insloc.composite import fit_inside, paste
from aligndet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CopyAndPaste(BaseTransform):
    """Paste a random crop of the image on one of its backgrounds (InsLoc, section 3.1).

    1. Crop: ``crop_area`` of the image, aspect log-uniform in ``crop_aspect``; the centre after ten tries.
    2. Size: two sides drawn from ``sides``; the crop is fitted inside, its aspect kept. With the defaults the
       long side is 128 to 254 px, the short one falls below 128 px for about a quarter of the pastes.
    3. Place: uniform; the box is the pasted rectangle. One box per composite.

    All randomness is numpy's global state, which mmengine seeds per worker (``randomness.seed``).

    Args:
        background: which of the item's backgrounds is this view's canvas; the two views take 0 and 1.
        canvas: side of the square composite, in pixels; the background is resized to it, aspect ignored.
        sides: smallest and largest side to draw, both included; None is half the canvas to 2 px less than
            all of it (128 to 254 for 256).
        crop_area: least and largest share of the foreground's area.
        crop_aspect: least and largest width / height of the crop.
        feather: width of a blended border in pixels; 0, the paper's way, pastes opaque.

    Raises:
        InputError: the sides do not fit the canvas.
    """

    def __init__(
        self,
        background: int,
        canvas: int = 256,
        sides: tuple[int, int] | None = None,
        crop_area: tuple[float, float] = (0.2, 1.0),
        crop_aspect: tuple[float, float] = (0.5, 2.0),
        feather: int = 0,
    ) -> None:
        self.background, self.canvas, self.feather = background, canvas, feather
        self.sides = sides or (canvas // 2, canvas - 2)
        if not 1 <= self.sides[0] <= self.sides[1] <= canvas:
            raise InputError(
                f"CopyAndPaste: expected 1 <= smallest <= largest side <= canvas={canvas}, got sides={sides}"
            )
        crop = {"crop_ratio_range": crop_area, "aspect_ratio_range": crop_aspect, "max_attempts": 10}
        self.crop = TRANSFORMS.build({"type": "mmpretrain.RandomResizedCrop", "scale": canvas, **crop})

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img`` by the composite and take ``backgrounds`` away; add the box as mmdet keeps it."""
        size = (self.canvas, self.canvas)
        canvas = mmcv.imresize(results.pop("backgrounds")[self.background], size)
        patch = self._patch(results["img"])
        height, width = patch.shape[:2]
        left = np.random.randint(0, self.canvas - width + 1)
        top = np.random.randint(0, self.canvas - height + 1)
        box = np.array([[left, top, left + width, top + height]], dtype=np.float32)
        results.update(
            img=paste(canvas, patch, left, top, self.feather),
            img_shape=size,
            gt_bboxes=HorizontalBoxes(box),
            gt_bboxes_labels=np.zeros(1, dtype=np.int64),
            gt_ignore_flags=np.zeros(1, dtype=bool),
        )
        return results

    def _patch(self, image: np.ndarray) -> np.ndarray:
        top, left, height, width = self.crop.rand_crop_params(image)
        low, high = self.sides
        sides = (int(np.random.randint(low, high + 1)), int(np.random.randint(low, high + 1)))
        return fit_inside(image[top : top + height, left : left + width], sides)
