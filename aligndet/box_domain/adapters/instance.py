"""Adapters for one-stage heads that give masks too, whose mask branch stays untrained."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from mmdet.structures.mask import BitmapMasks
from torch import Tensor

from aligndet.box_domain.adapters.base import Detector, serves
from aligndet.box_domain.adapters.classifiers import Classifier
from aligndet.box_domain.adapters.score import ScoreAdapter


@serves("YOLACTHead")
class MaskCoefficientAdapter(ScoreAdapter):
    """Serves YOLACT, where a layer beside the classifier gives coefficients of masks."""

    def __init__(self, detector: Detector, classifiers: list[Classifier], **options: Any) -> None:
        super().__init__(detector, classifiers, **options)
        detector.bbox_head.conv_coeff.requires_grad_(False)


@serves("RTMDetInsHead")
class MaskKernelAdapter(ScoreAdapter):
    """Serves RTMDet-Ins, where a tower beside those of class and box gives kernels of masks.

    Its relative without masks will not do: mmdet gives this head one tower for class and box.
    """

    NOT_A_LOSS: ClassVar[tuple[str, ...]] = ("acc", "loss_mask")

    def __init__(self, detector: Detector, classifiers: list[Classifier], **options: Any) -> None:
        super().__init__(detector, classifiers, **options)
        head = detector.bbox_head
        head.loss_mask_by_feat = no_mask_loss
        for part in (head.kernel_convs, head.rtm_kernel, head.mask_head):
            part.requires_grad_(False)

    def label(self, samples: list[Any]) -> None:
        """Add the empty masks that the head asks for and does not use."""
        super().label(samples)
        for sample in samples:
            count = len(sample.gt_instances)
            sample.gt_instances.masks = BitmapMasks(np.zeros((count, 1, 1), np.uint8), 1, 1)


def no_mask_loss(mask_feat: Tensor, *_: Any) -> Tensor:
    """Return zero where the loss of masks stood."""
    return mask_feat.new_zeros(())
