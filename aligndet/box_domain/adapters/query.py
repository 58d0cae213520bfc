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
from aligndet.box_domain.adapters.heads import head_of
from aligndet.box_domain.adapters.matches import Match, check_clusters, ids_of
from aligndet.box_domain.adapters.recorders import record_assigners
from aligndet.box_domain.adapters.roster import LEFT_OUT
from aligndet.common.errors import InputError

#: The place of a prediction is carried as a score this much below zero: sigmoid and softmax give 0, and
#: float32 is exact for integers.
FAR_BELOW = 1 << 23


class IndexWriter:
    """Forward hook that keeps what a classifier reads and writes places into one of its channels."""

    def __init__(self, features: Features, number: int, channel: int) -> None:
        self.features, self.number, self.channel = features, number, channel

    def __call__(self, module: nn.Module, args: tuple[Tensor, ...], scores: Tensor) -> Tensor:
        first = self.features.add_rows(args[0], self.number)
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
        head = head_of(detector)
        held = head.bbox_assigner if hasattr(head, "bbox_assigner") else head.assigner
        record_assigners(held, self.matches, self.head_name)

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
        if not self.matches:
            self.misfit("never asked its assigner")
        carried = [self._carried(match) for match in self.matches]  # (queries,) each
        counts = [len(queries) for queries in carried]
        index = torch.cat(carried)  # (p,), over all matches
        images = self._images(index, counts, len(samples))  # (p,)
        ids = torch.cat(ids_of(self.matches, list(images.split(counts)), self.roster, self.names))  # (p,)
        real = index != -FAR_BELOW  # where a head has fewer queries than it wants, it adds scores of zero
        if not real.any():
            self.misfit("does not show its assigner the scores of its classifier")
        return matched_once(Places(index[real], ids[real]))

    def _images(self, index: Tensor, counts: list[int], batch: int) -> Tensor:
        """Say which image queries at ``index (p,)`` belong to: the one whose turn it is, unless rows tell.

        Args:
            index: of the queries of all matches, one match behind the other.
            counts: of queries, for each match. Images take turns.
            batch: number of images.
        """
        turns = (torch.arange(len(counts)) % batch).repeat_interleave(torch.tensor(counts))  # (p,)
        image = self.features.image_of(index)  # (p,)
        return torch.where((image < 0) | (index < 0), turns.to(index.device), image)

    def _carried(self, match: Match) -> Tensor:
        """Read the places of one match's queries."""
        scores = match.scores
        if scores is None or scores.dim() != 2 or scores.shape[1] <= self.num_clusters:
            self.misfit("does not show its assigner the scores of its classifier")
        return (-scores[:, self.num_clusters].detach()).long() - FAR_BELOW

    def clear(self) -> None:
        """Forget this step and its matches."""
        super().clear()
        self.matches.clear()


def matched_once(places: Places) -> Places:
    """Return each place once, though heads may match their queries several times (one to many, say).

    An instance counts more than background; a query of two instances is left out.
    """
    index, which = places.index.unique(return_inverse=True)  # (u,), (p,)
    most = places.ids.new_full(index.shape, LEFT_OUT).scatter_reduce(0, which, places.ids, "amax")  # (u,)
    taken = torch.where(places.ids >= 0, places.ids, most[which])
    least = most.scatter_reduce(0, which, taken, "amin")
    kept = (most != LEFT_OUT) & (least == most)
    return Places(index[kept], most[kept])


def _classes(detector: Detector) -> int:
    head = head_of(detector)
    return head.bbox_head[0].num_classes if hasattr(head, "bbox_head") else head.num_classes
