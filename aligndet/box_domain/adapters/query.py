"""Adapter for set predictors (the DETR family, Sparse R-CNN): class scores take part in the matching.

The head keeps its own classifier, on clusters or on one class, with its own loss and cost. One class more
is not a class: its score says, for each prediction, *where it is*, and is so low that no loss or cost feels
it. The head's own code carries it through layers, denoising groups and top-k to the assigner, which so
learns ids and places together.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from mmengine.config import ConfigDict
from torch import Tensor, nn

from aligndet.box_domain.adapters.base import Adapter, Detector, serves
from aligndet.box_domain.adapters.classifiers import Classifier, set_classes
from aligndet.box_domain.adapters.features import Features, Places
from aligndet.box_domain.adapters.matches import LEFT_OUT, Match, MatchRecorder, check_clusters

#: The place of a prediction is carried as a score this much below zero: sigmoid and softmax give 0, and
#: float32 still counts in ones.
FAR_BELOW = 1 << 23


class Numberer:
    """A forward hook that keeps what a classifier reads and writes places into one of its channels."""

    def __init__(self, features: Features, number: int, channel: int) -> None:
        self.features, self.number, self.channel = features, number, channel

    def __call__(self, module: nn.Module, args: tuple[Tensor, ...], scores: Tensor) -> Tensor:
        first = self.features.add(args[0].flatten(0, -2), self.number)
        rows = scores.shape[:-1]
        last = first + rows.numel()
        if last > FAR_BELOW:
            raise ValueError(f"A view of this batch has more than {FAR_BELOW} queries; lower the batch size.")
        places = torch.arange(FAR_BELOW + first, FAR_BELOW + last, device=scores.device).view(*rows, 1)
        before, after = scores[..., : self.channel], scores[..., self.channel + 1 :]
        return torch.cat([before.float(), -places.float(), after.float()], -1)


@serves("DETRHead", "SparseRoIHead")
class QueryAdapter(Adapter):
    """DETR: every query of every decoder layer is a slot, ids pooled over layers (paper's setting)."""

    RECIPE: ClassVar[str] = "transformer"

    def __init__(self, detector: Detector, classifiers: list[Classifier], **options: Any) -> None:
        self.num_clusters = _classes(detector) - 1
        super().__init__(detector, classifiers, **{"num_slots": 2048, "per": "batch", **options})
        self.matches: list[Match] = []
        if hasattr(detector, "roi_head"):
            head = detector.roi_head
            head.bbox_assigner = [MatchRecorder(a, self.matches) for a in head.bbox_assigner]
        else:
            detector.bbox_head.assigner = MatchRecorder(detector.bbox_head.assigner, self.matches)

    @classmethod
    def prepare(cls, detector: ConfigDict, num_clusters: int) -> None:
        """See :class:`Adapter`: clusters, or object against background, and the channel of places."""
        set_classes(detector, num_clusters + 1)

    def attach(self, detector: Detector, number: int, classifier: Classifier) -> None:
        """See :class:`Adapter`."""
        layer = detector.get_submodule(classifier.name)
        layer.register_forward_hook(Numberer(self.features, number, self.num_clusters))

    def label(self, samples: list[Any]) -> None:
        """Labels stay clusters."""
        check_clusters(samples, self.num_clusters)

    def places(self, samples: list[Any]) -> Places:
        """Every query that was matched, of every layer, with the place its scores carry."""
        carried = [match.predictions.scores[:, self.num_clusters] for match in self.matches]
        index = (-torch.cat(carried).detach()).long() - FAR_BELOW
        ids = torch.cat([match.ids for match in self.matches])
        counted = ids != LEFT_OUT
        return Places(index[counted], ids[counted])

    def clear(self) -> None:
        """See :class:`Adapter`."""
        super().clear()
        self.matches.clear()


def _classes(detector: Detector) -> int:
    head = detector.roi_head.bbox_head[0] if hasattr(detector, "roi_head") else detector.bbox_head
    return head.num_classes
