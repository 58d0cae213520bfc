"""A user's own classes, as projects on mmdet have them; configs of the tests import this module."""

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.models import ResNet, RetinaHead
from mmdet.registry import MODELS, TRANSFORMS
from torch import Tensor, nn

NAME = __name__


@MODELS.register_module()
class BlendByMask(nn.Module):
    """A batch augmentation that reads what proposals have not."""

    def forward(self, inputs: Tensor, data_samples: list[Any]) -> tuple[Tensor, list[Any]]:
        areas = [sample.gt_instances.masks.areas.sum() for sample in data_samples]
        return inputs * float(np.mean(areas)), data_samples


@MODELS.register_module()
class LargeOnly(ResNet):
    """A backbone for images from a size on."""

    def __init__(self, least: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.least = least

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        if min(x.shape[2:]) < self.least:
            raise ValueError(f"expected at least {self.least} px, got {tuple(x.shape[2:])}")
        return tuple(super().forward(x))


@MODELS.register_module()
class HeadOfItsOwn(nn.Module):
    """A head that is a sub-class of none that is served."""


@MODELS.register_module()
class SpareLayer(RetinaHead):
    """A head with a layer that its loss does not reach."""

    def _init_layers(self) -> None:
        super()._init_layers()
        self.spare = nn.Linear(3, 3)


@TRANSFORMS.register_module()
class LoadArray(BaseTransform):
    """Reads arrays of numpy, as projects with images of their own kind do."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        image = np.load(results["img_path"])
        results.update(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
        return results


@TRANSFORMS.register_module()
class LoadFourChannels(BaseTransform):
    """Refuses files of other than four channels."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        import cv2

        image = cv2.imread(results["img_path"], cv2.IMREAD_UNCHANGED)
        assert image is not None
        assert image.ndim == 3
        assert image.shape[2] == 4, f"expected 4 channels, got {image.shape}"
        results.update(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
        return results


@MODELS.register_module()
class LossOfNothing(RetinaHead):
    """A head whose losses are no numbers."""

    def loss_by_feat(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        losses: dict[str, Any] = super().loss_by_feat(*args, **kwargs)
        return {**losses, "loss_bbox": [value * torch.nan for value in losses["loss_bbox"]]}
