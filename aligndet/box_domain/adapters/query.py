"""Adapter for set predictors (the DETR family, Sparse R-CNN), whose matching reads class scores.

The head keeps its classifier, on clusters or on one class, with its loss and cost. One channel more than
classes says, for each prediction, *where it is*, in a score so low that no loss or cost feels it. The head's
code carries it through layers, denoising groups and top-k to the assigner, where ids and places so meet.
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
from aligndet.common.errors import InputError

#: The place of a prediction is carried as a score this much below zero: sigmoid and softmax give 0, and
#: float32 is exact for integers.
FAR_BELOW = 1 << 23


class IndexWriter:
    """Forward hook that keeps what a classifier reads and writes places into one of its channels."""

    def __init__(self, features: Features, number: int, channel: int) -> None:
        self.features, self.number, self.channel = features, number, channel

    def __call__(self, module: nn.Module, args: tuple[Tensor, ...], scores: Tensor) -> Tensor:
        first = self.features.add(args[0].flatten(0, -2), self.number)
        rows = scores.shape[:-1]
        last = first + rows.numel()
        if last > FAR_BELOW:
            raise InputError(f"A view of this batch has more than {FAR_BELOW} queries; lower the batch size.")
        places = torch.arange(FAR_BELOW + first, FAR_BELOW + last, device=scores.device).view(*rows, 1)
        before, after = scores[..., : self.channel], scores[..., self.channel + 1 :]
        # (..., channel), (..., 1), (..., rest) -> the shape of scores
        return torch.cat([before.float(), -places.float(), after.float()], -1)


@serves("DETRHead", "SparseRoIHead")
class QueryAdapter(Adapter):
    """Serves DETR: every query of every decoder layer is a slot, ids pooled over layers, as in the paper."""

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
        """Set the classes to clusters, or object against background, and one channel for places."""
        set_classes(detector, num_clusters + 1)

    def attach(self, detector: Detector, number: int, classifier: Classifier) -> None:
        """Hook the writer of places to a classifier."""
        layer = detector.get_submodule(classifier.name)
        layer.register_forward_hook(IndexWriter(self.features, number, self.num_clusters))

    def label(self, samples: list[Any]) -> None:
        """Leave the labels, which are clusters."""
        check_clusters(samples, self.num_clusters)

    def places(self, samples: list[Any]) -> Places:
        """Read the place of every query that was matched, in every layer, from its scores."""
        carried = [
            match.predictions.scores[:, self.num_clusters] for match in self.matches
        ]  # (queries,) each
        index = (-torch.cat(carried).detach()).long() - FAR_BELOW  # (p,), p = images * layers * queries
        ids = torch.cat([match.ids for match in self.matches])  # (p,)
        counted = ids != LEFT_OUT
        return Places(index[counted], ids[counted])

    def clear(self) -> None:
        """Forget this step and its matches."""
        super().clear()
        self.matches.clear()


def _classes(detector: Detector) -> int:
    head = detector.roi_head.bbox_head[0] if hasattr(detector, "roi_head") else detector.bbox_head
    return head.num_classes
