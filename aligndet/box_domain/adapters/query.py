"""Adapter for set predictors (DETR): the class score takes part in the matching, so it stays honest.

The head keeps its own classifier, on clusters or on one class, with its own loss and cost. The projector
reads what the classifier reads, and ids come from the matching itself.
"""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import ConfigDict
from torch import Tensor, nn

from ..slots import NO_INSTANCE, Slots
from .base import Adapter, Detector, Losses, serves
from .projector import Projector


class _Tap:
    """A forward pre-hook that keeps a layer's input. An object, so that a copy of the model copies it."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        self.seen.append(args[0])


class _MatchRecorder:
    """Stands where the head's assigner stood and keeps the id it gave each query."""

    def __init__(self, assigner: Any) -> None:
        self.assigner = assigner
        self.ids: list[Tensor] = []

    def assign(self, pred_instances: Any, gt_instances: Any, *args: Any, **kwargs: Any) -> Any:
        result = self.assigner.assign(pred_instances, gt_instances, *args, **kwargs)
        ids = torch.full_like(result.gt_inds, NO_INSTANCE)
        matched = result.gt_inds > 0
        ids[matched] = gt_instances.instance_ids[result.gt_inds[matched] - 1]
        self.ids.append(ids)
        return result


@serves("DETRHead")
class QueryAdapter(Adapter):
    """DETR: every query of every decoder layer is a slot, ids pooled over layers (paper's setting)."""

    def __init__(self, detector: Detector, classifiers: list[str], embed_dim: int = 256) -> None:
        super().__init__(detector, classifiers, embed_dim)
        head = detector.bbox_head
        classifier = detector.get_submodule(classifiers[0])
        self.tap, self.matches = _Tap(), _MatchRecorder(head.assigner)
        classifier.register_forward_pre_hook(self.tap)
        head.assigner = self.matches
        width = classifier.in_features
        self.projector = Projector(width, embed_dim, width)

    @classmethod
    def prepare(cls, detector: ConfigDict, num_clusters: int) -> None:
        """See :class:`Adapter`: the classifier tells clusters apart, or object from background."""
        detector.bbox_head.num_classes = num_clusters

    def forward(self, detector: Detector, inputs: Tensor, samples: list[Any]) -> tuple[Slots, Losses]:
        """See :class:`Adapter`."""
        self._check_labels(samples, detector.bbox_head.num_classes)
        try:
            losses = self.keep_losses(detector.loss(inputs, samples))
            hidden = self.tap.seen[0]  # (layers, B, queries, C): layers outside, images inside, as matched
            embeddings = self.projector(hidden).flatten(0, 2)
            return Slots(embeddings, torch.cat(self.matches.ids)), losses
        finally:
            self.tap.seen, self.matches.ids = [], []

    @staticmethod
    def _check_labels(samples: list[Any], num_clusters: int) -> None:
        for sample in samples:
            labels = sample.gt_instances.labels
            if len(labels) and int(labels.max()) >= num_clusters:
                raise ValueError(
                    f"A proposal has cluster {int(labels.max())}, but model.num_clusters is {num_clusters}. "
                    "Set it to the number of categories of the proposal file."
                )
