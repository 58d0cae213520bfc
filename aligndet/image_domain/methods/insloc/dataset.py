"""Items of InsLoc's data: an image, and other images for it to be pasted on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.images import UnreadableImageError, read_image
from aligndet.common.images.bad import TooManyBadError
from aligndet.common.images.replaced import Replaced
from aligndet.image_domain.folder import ImageFolder
from aligndet.registry import DATASETS


@DATASETS.register_module()
class CompositeFolder(ImageFolder):
    """Images of a folder, plain and nested or in the ImageNet layout, each with backgrounds.

    The backgrounds are drawn uniformly with replacement from the whole set. A bad image is replaced by
    another one, wherever it was drawn, and counted once.

    Args:
        data_root: see ImageFolder.
        num_backgrounds: backgrounds per image; one for each view.
        kwargs: of ImageFolder.

    Each item enters the pipeline with ``img`` and ``backgrounds``, (H, W, 3) uint8 BGR arrays, and
    ``img_path``.
    """

    def __init__(self, data_root: str, num_backgrounds: int = 2, **kwargs: Any) -> None:
        self.num_backgrounds = num_backgrounds
        super().__init__(data_root, **kwargs)
        self.bad_images = Replaced(by_pipeline=False)

    def prepare_data(self, idx: int) -> Any:
        """One item through the pipeline; None, for which mmengine draws another, where it is bad."""
        return self.bad_images.prepared(self, idx, self._item)

    def _item(self, idx: int) -> Any:
        image = self.read(idx)
        info = self.get_data_info(idx)
        info.update(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
        info["backgrounds"] = [self._any_image() for _ in range(self.num_backgrounds)]
        return self.pipeline(info)

    def _any_image(self) -> np.ndarray:
        """A readable image, uniformly.

        Raises:
            TooManyBadError: as many draws as the set has images (at least 100) gave none.
        """
        for _ in range(max(100, len(self))):
            idx = int(np.random.randint(len(self)))
            if self.bad_images.marks(self)[idx]:
                continue
            try:
                return self.read(idx)
            except UnreadableImageError as error:
                self.bad_images.mark(self, idx, error)
        raise TooManyBadError(f"{self.folder}: no image can be read")

    def read(self, idx: int) -> np.ndarray:
        """One image, (H, W, 3) uint8 BGR."""
        return read_image(Path(self.get_data_info(idx)["img_path"]))
