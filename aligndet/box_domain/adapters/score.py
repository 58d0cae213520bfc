"""Adapter for dense heads whose loss or matching reads class scores.

Such a head keeps its real classifier, on clusters or on one class (objectness), with its loss. The projector
reads what the classifier reads, and ids come from the assigner of the head.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from mmengine.config import ConfigDict
from torch import Tensor

from aligndet.box_domain.adapters.agreement import lie_in_order
from aligndet.box_domain.adapters.base import Adapter, Detector, serves
from aligndet.box_domain.adapters.classifiers import Classifier
from aligndet.box_domain.adapters.features import Features, Places
from aligndet.box_domain.adapters.heads import head_config, head_of
from aligndet.box_domain.adapters.matches import Match, best_or, check_clusters, ids_of
from aligndet.box_domain.adapters.recorders import record_assigners
from aligndet.box_domain.adapters.roster import LEFT_OUT


class InputTap:
    """Forward pre-hook that keeps what a layer reads, an object so that a copied model has another."""

    def __init__(self, features: Features, number: int, priors: int) -> None:
        self.features, self.number, self.priors = features, number, priors

    def __call__(self, module: Any, args: tuple[Tensor, ...]) -> None:
        self.features.add(args[0], self.number, self.priors)


@serves(
    *("GFLHead", "VFNetHead", "DDODHead", "TOODHead", "PISARetinaHead", "FSAFHead"),
    *("SSDHead", "YOLOFHead", "YOLOV3Head", "YOLOXHead", "RTMDetHead"),
    *("mmyolo.YOLOv6Head", "mmyolo.YOLOv8Head", "mmyolo.RTMDetHead"),  # PPYOLOE's is a sub-class
)
class ScoreAdapter(Adapter):
    """Serves any dense head with an assigner: every prior may be a slot, 2,048 per image are kept."""

    #: Attributes that may hold the assigner of classification: those that the head has are recorded.
    ASSIGNERS: ClassVar[tuple[str, ...]] = (
        "assigner",
        "cls_assigner",
        "initial_assigner",
        "alignment_assigner",
    )

    def __init__(self, detector: Detector, classifiers: list[Classifier], **options: Any) -> None:
        super().__init__(detector, classifiers, **{"num_slots": 2048, **options})
        self.matches: list[Match] = []
        self.matched: list[Tensor] = []
        self.head = (self.head_of(detector),)  # in a tuple: it is the detector's part and not the adapter's
        self.record(self.head[0])

    def head_of(self, detector: Detector) -> Any:
        """Return the head that matches and classifies."""
        return head_of(detector)

    def record(self, head: Any) -> None:
        """Let the assigners of the head be recorded."""
        record_assigners([getattr(head, name, None) for name in self.ASSIGNERS], self.matches, self.head_name)

    @classmethod
    def prepare(cls, detector: ConfigDict, num_clusters: int) -> None:
        """Set the classes, and let anchors that cross the border take part so that every prior is counted."""
        super().prepare(detector, num_clusters)
        for config in (detector.get("train_cfg"), head_config(detector)):
            _allow_border(config)

    def attach(self, detector: Detector, number: int, classifier: Classifier) -> None:
        """Tap the input of a classifier."""
        layer = detector.get_submodule(classifier.name)
        layer.register_forward_pre_hook(InputTap(self.features, number, classifier.priors))

    def label(self, samples: list[Any]) -> None:
        """Leave the labels, which are clusters."""
        check_clusters(samples, max(1, self.head[0].num_classes))

    def clear(self) -> None:
        """Forget this step and its matches."""
        super().clear()
        self.matches.clear()
        self.matched = []

    def places(self, samples: list[Any]) -> Places:
        """Give ids to all priors of all images, as the assigner orders them: levels, rows, columns."""
        index, ids = [], []
        for image, sample in enumerate(samples):
            counted, counted_ids = self.ids_of(image, sample, self.places_of(image))  # (P,) -> (p,), (p,)
            index.append(counted)
            ids.append(counted_ids)
        return Places(torch.cat(index), torch.cat(ids))

    def places_of(self, image: int) -> Tensor:
        """List the places ``(P,)`` of one image's priors, level by level."""
        spans = []
        for call in self.features.calls:
            size = call.count // len(call.x)
            first = call.first + image * size
            spans.append(torch.arange(first, first + size, device=call.x.device))
        return torch.cat(spans)

    def ids_of(self, image: int, sample: Any, places: Tensor) -> tuple[Tensor, Tensor]:
        """Choose those ``(p,)`` of one image's ``places (P,)`` that count, and return them with their ids."""
        self.matched = self.matched or self._matched()
        match, ids = self.matches[image], self.matched[image]
        if len(ids) != len(places):
            places = places[self._valid(sample, len(ids), places)]
        size = sample.metainfo.get("batch_input_shape")
        if match.priors is not None and size and not lie_in_order(match.priors, places, self.features, size):
            self.misfit("shows its assigner priors in another order than its classifier reads them")
        ids = self.thinned(ids, match)
        counted = ids != LEFT_OUT
        return places[counted], ids[counted]

    def thinned(self, ids: Tensor, match: Match) -> Tensor:
        """Return ids ``(n,)`` of the predictions that the assigner was shown, ``LEFT_OUT`` for no slots."""
        return ids

    def _matched(self) -> list[Tensor]:
        """Read ids ``(n,)`` of all images from what the assigner answered, once for each image."""
        images = self.roster.images
        if len(self.matches) != images:
            self.misfit(f"asked its assigner about {len(self.matches)} images in a step of {images}")
        rows = [
            torch.full_like(match.targets, image) for image, match in enumerate(self.matches)
        ]  # (n,) each
        return ids_of(self.matches, rows, self.roster, self.names)

    def _valid(self, sample: Any, expected: int, places: Tensor) -> Tensor:
        """List the priors on the image, as a head shows its assigner these and none on the padding."""
        head = self.head[0]
        generator = getattr(head, "prior_generator", None) or head.square_anchor_generator
        sizes = [call.x.shape[-2:] for call in self.features.calls]
        if len(sizes) != generator.num_levels:
            self.expect(expected, len(places))
        shape = sample.metainfo["pad_shape"]
        valid = torch.cat(generator.valid_flags(sizes, shape, device=places.device))  # (P,) bool
        self.expect(expected, int(valid.sum()))
        return valid.nonzero().flatten()


def _allow_border(config: Any) -> None:
    """Set every ``allowed_border`` of a config to -1, for no limit, in place."""
    if isinstance(config, dict) and "allowed_border" in config:
        config["allowed_border"] = -1
    for part in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        _allow_border(part)


@serves("PAAHead")
class OverlapAdapter(ScoreAdapter):
    """Serves PAA: IoU thins out the lax candidates (IoU 0.1) of its assigner, where scores do in PAA.

    An anchor is its proposal's from IoU 0.5, or if no other anchor overlaps that proposal more.
    """

    MIN_OVERLAP: ClassVar[float] = 0.5

    def thinned(self, ids: Tensor, match: Match) -> Tensor:
        """Leave out the candidates that overlap their proposal too little."""
        if match.overlaps is None:
            return ids
        enough = best_or(self.MIN_OVERLAP, ids, match.overlaps)
        return torch.where((ids >= 0) & ~enough, LEFT_OUT, ids)
