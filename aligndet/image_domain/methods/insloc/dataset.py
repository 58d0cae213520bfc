"""Items of InsLoc's data: an image, and other images for it to be pasted on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook

from aligndet.common.errors import InputError
from aligndet.common.images import UnreadableImageError, read_image
from aligndet.common.notices import warn
from aligndet.image_domain.folder import ImageFolder
from aligndet.registry import DATASETS, HOOKS


@DATASETS.register_module()
class CompositeFolder(ImageFolder):
    """Images of a folder, plain and nested or in the ImageNet layout, each with backgrounds.

    The backgrounds are drawn uniformly with replacement from the whole set. A file that is no readable
    image is replaced by another one, wherever it was drawn, and counted once (:attr:`num_unreadable`).

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

    def full_init(self) -> None:
        """List the images; which of them cannot be read is kept where worker processes share it."""
        super().full_init()
        self._bad = torch.zeros(len(self), dtype=torch.bool).share_memory_()

    @property
    def num_unreadable(self) -> int:
        """Images found unreadable so far, by any worker of this process."""
        return int(self._bad.sum())

    def prepare_data(self, idx: int) -> Any:
        """One item through the pipeline; None, for which mmengine draws another, where it cannot be read."""
        image = self._read(idx)
        if image is None:
            return None
        info = self.get_data_info(idx)
        info.update(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
        info["backgrounds"] = [self._any_image() for _ in range(self.num_backgrounds)]
        return self.pipeline(info)

    def _any_image(self) -> np.ndarray:
        """A readable image, uniformly.

        Raises:
            InputError: as many draws as the set has images (at least 100) gave none.
        """
        for _ in range(max(100, len(self))):
            image = self._read(int(np.random.randint(len(self))))
            if image is not None:
                return image
        raise InputError(
            f"{self.folder}: {self.num_unreadable} of {len(self)} images cannot be read, and no other was "
            "found (config key train_dataloader.dataset.data_root)"
        )

    def _read(self, idx: int) -> np.ndarray | None:
        if self._bad[idx]:
            return None
        path = self.get_data_info(idx)["img_path"]
        try:
            return read_image(Path(path))
        except UnreadableImageError as error:
            self._bad[idx] = True
            warn(f"{path} cannot be read ({error}); another image takes its place")
            return None


@HOOKS.register_module()
class CountUnreadableHook(Hook):
    """Say after each epoch how many images could not be read, and log it as ``train/unreadable_images``."""

    priority = "LOW"

    def after_train_epoch(self, runner: Any) -> None:
        """Ask the data set; one that does not count is passed over."""
        count = getattr(runner.train_dataloader.dataset, "num_unreadable", None)
        if count is None:
            return
        runner.message_hub.update_scalar("train/unreadable_images", count)
        if count:
            warn(f"{count} of the images could not be read; others took their places")
