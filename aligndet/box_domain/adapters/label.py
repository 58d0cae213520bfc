"""Adapters for dense heads that classify by plain labels and match without looking at scores."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from aligndet.box_domain.adapters.base import Adapter, Detector, serves
from aligndet.box_domain.adapters.classifiers import Classifier
from aligndet.box_domain.adapters.features import Places
from aligndet.box_domain.adapters.heads import name_of_head, nearest_with
from aligndet.box_domain.adapters.pointer import BACKGROUND, Pointer, Recorder
from aligndet.box_domain.slots import NO_INSTANCE
from aligndet.common.errors import InputError


class LabelAdapter(Adapter):
    """Sends instance ids as labels through the assigner of the head to a recorder at ``loss_cls``."""

    NOT_A_LOSS: ClassVar[tuple[str, ...]] = ("acc", "loss_cls")

    def attach(self, detector: Detector, number: int, classifier: Classifier) -> None:
        """Put a pointer where the classifier stood and a recorder where its loss stood."""
        name, _, layer = classifier.name.rpartition(".")
        owner, head = detector.get_submodule(name), with_loss(detector, name)
        self.originals.replace(owner, layer, Pointer(self.features, number, classifier.priors))
        if not number:
            self.recorder = Recorder()
        for attribute, value in (("num_classes", BACKGROUND), ("cls_out_channels", 1)):
            self.originals.replace(head, attribute, value)
        self.originals.replace(head, "loss_cls", self.recorder)

    def label(self, samples: list[Any]) -> None:
        """Set labels to instance ids."""
        for sample in samples:
            sample.gt_instances.labels = sample.gt_instances.instance_ids

    def places(self, samples: list[Any]) -> Places:
        """Return what the recorder received."""
        problem = self.recorder.problem
        places = self.recorder.drain()
        if problem or (places is None and self.roster.count):
            self.misfit(problem or "never asked its loss_cls for a loss")
        if places is None:
            empty = torch.zeros(0, dtype=torch.long, device=_device(self.projectors))
            return Places(empty, empty)
        return Places(places.index, torch.where(places.ids == BACKGROUND, NO_INSTANCE, places.ids))

    def clear(self) -> None:
        """Forget this step and what was recorded."""
        super().clear()
        self.recorder.drain()


@serves("AnchorHead", "SABLRetinaHead", "RepPointsHead", "FoveaHead")
class AnchorAdapter(LabelAdapter):
    """Serves RetinaNet with 2,048 anchors per image and a 1x1 projector, as in the paper.

    The projector has a last layer for each anchor shape.
    """

    def __init__(self, detector: Detector, classifiers: list[Classifier], **options: Any) -> None:
        super().__init__(detector, classifiers, **{"num_slots": 2048, **options})


@serves("FCOSHead")
class PointAdapter(LabelAdapter):
    """Serves FCOS with 2,048 points per batch and a projector of 3x3, then 1x1, as in the paper."""

    def __init__(self, detector: Detector, classifiers: list[Classifier], **options: Any) -> None:
        super().__init__(detector, classifiers, **{"num_slots": 2048, "per": "batch", "kernel": 3, **options})


def with_loss(detector: Detector, name: str) -> nn.Module:
    """Find the nearest module around ``name`` that has the loss of the classifier: maybe a block is between.

    Raises:
        InputError: there is none.
    """
    if module := nearest_with("loss_cls", detector, name):
        return module
    raise InputError(
        f"model.detector: {name_of_head(detector)} has no loss_cls, which its classifier {name} is read "
        "through. This head needs an adapter of its own: docs/adapters.md."
    )


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device
