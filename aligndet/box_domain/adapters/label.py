"""Adapters for heads that classify by plain labels: dense anchors, points, RoIs."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from mmengine.config import ConfigDict
from torch import Tensor, nn

from ..slots import NO_INSTANCE, Slots
from .base import Adapter, Detector, Losses, serves
from .pointer import BACKGROUND, Places, Pointer, Recorder, sample_slots
from .projector import Projector


class LabelAdapter(Adapter):
    """Instance ids travel as labels, through the head's own assigner, to a recorder at ``loss_cls``.

    Args:
        detector: see :class:`Adapter`.
        classifiers: exactly one.
        embed_dim: width of the embeddings.
        num_slots: slots kept per image or per batch, positives first; 0 keeps all that the head samples.
        per: what ``num_slots`` counts by.
        kernel: side of the neighbourhood the projector reads, in cells.
    """

    NOT_A_LOSS: ClassVar[set[str]] = {"acc", "loss_cls"}

    def __init__(
        self,
        detector: Detector,
        classifiers: list[str],
        embed_dim: int = 256,
        num_slots: int = 0,
        per: Literal["image", "batch"] = "image",
        kernel: int = 1,
    ) -> None:
        super().__init__(detector, classifiers, embed_dim)
        if len(classifiers) != 1:
            raise ValueError(
                f"{type(self).__name__} expects one classification layer, the detector has {classifiers}; "
                "docs/adapters.md tells which adapter fits such a head."
            )
        self.num_slots, self.per = num_slots, per
        name, _, layer_name = classifiers[0].rpartition(".")
        head = detector.get_submodule(name)
        layer = getattr(head, layer_name)
        channels = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
        priors = 1 if isinstance(layer, nn.Linear) else getattr(head, "num_base_priors", 1)
        self.pointer, self.recorder = Pointer(priors, kernel), Recorder()
        setattr(head, layer_name, self.pointer)
        head.loss_cls = self.recorder
        head.num_classes, head.cls_out_channels = BACKGROUND, 1
        self.projector = Projector(channels * kernel**2, embed_dim, channels, priors)

    def forward(self, detector: Detector, inputs: Tensor, samples: list[Any]) -> tuple[Slots, Losses]:
        """See :class:`Adapter`."""
        for sample in samples:
            sample.gt_instances.labels = sample.gt_instances.instance_ids
        try:
            losses = self.keep_losses(detector.loss(inputs, samples))
            return self._slots(), losses
        finally:
            self.pointer.clear()
            self.recorder.drain()

    def _slots(self) -> Slots:
        places = self.recorder.drain()
        if places is None:
            empty = torch.zeros(0, dtype=torch.long, device=self.projector.out.weight.device)
            places = Places(empty, empty)
        index, ids = places.index, torch.where(places.ids == BACKGROUND, NO_INSTANCE, places.ids)
        if self.num_slots:
            group = self.pointer.image_of(index) if self.per == "image" else torch.zeros_like(index)
            chosen = sample_slots(ids, group, self.num_slots)
            index, ids = index[chosen], ids[chosen]
        features, prior = self.pointer.gather(index)
        return Slots(self.projector(features, prior if self.pointer.priors > 1 else None), ids)


@serves("AnchorHead")
class AnchorAdapter(LabelAdapter):
    """RetinaNet: 2,048 anchors per image; projector 1x1, an own last layer per anchor (paper's setting)."""

    def __init__(self, detector: Detector, classifiers: list[str], **options: Any) -> None:
        super().__init__(detector, classifiers, **{"num_slots": 2048, **options})


@serves("FCOSHead")
class PointAdapter(LabelAdapter):
    """FCOS: 2,048 points per batch; projector 3x3 then 1x1 (paper's setting)."""

    def __init__(self, detector: Detector, classifiers: list[str], **options: Any) -> None:
        super().__init__(detector, classifiers, **{"num_slots": 2048, "per": "batch", "kernel": 3, **options})


@serves("StandardRoIHead")
class RoIAdapter(LabelAdapter):
    """Faster and Mask R-CNN: every positive RoI is a slot and there is no background (paper's setting).

    The RPN trains as it is, on 4,096 anchors; the box regressor is class-agnostic; masks are left out.
    """

    @classmethod
    def prepare(cls, detector: ConfigDict, num_clusters: int) -> None:
        """See :class:`Adapter`."""
        roi_head = detector.roi_head
        roi_head.bbox_head.reg_class_agnostic = True
        for part in ("mask_head", "mask_roi_extractor"):
            roi_head.pop(part, None)
        train = detector.train_cfg
        if train.get("rpn"):
            train.rpn.sampler = _sampler(neg_pos_ub=-1, add_gt_as_proposals=False)
        train.rcnn.sampler = _sampler(neg_pos_ub=0, add_gt_as_proposals=True)


def _sampler(**options: Any) -> ConfigDict:
    return ConfigDict(type="RandomSampler", num=4096, pos_fraction=1.0, **options)
