"""Adapter for dense heads whose loss or matching reads class scores: they stay honest.

The head keeps its own classifier, on clusters or on one class (objectness), with its own loss. The projector
reads what the classifier reads, and ids come from the head's own assigner.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from mmengine.config import ConfigDict
from torch import Tensor

from aligndet.box_domain.adapters.base import Adapter, Detector, head_config, serves
from aligndet.box_domain.adapters.classifiers import Classifier
from aligndet.box_domain.adapters.features import Features, Places
from aligndet.box_domain.adapters.matches import LEFT_OUT, Match, MatchRecorder, best_or, check_clusters


class Tap:
    """A forward pre-hook that keeps what a layer reads. An object, so that a copied model has its own."""

    def __init__(self, features: Features, number: int, priors: int) -> None:
        self.features, self.number, self.priors = features, number, priors

    def __call__(self, module: Any, args: tuple[Tensor, ...]) -> None:
        self.features.add(args[0], self.number, self.priors)


@serves(
    *("GFLHead", "VFNetHead", "DDODHead", "TOODHead", "PISARetinaHead", "FSAFHead"),
    *("SSDHead", "YOLOFHead", "YOLOV3Head", "YOLOXHead", "RTMDetHead"),
)
class ScoreAdapter(Adapter):
    """Any dense head with an assigner: every prior is a slot candidate, 2,048 per image are kept."""

    #: Attributes of the head that hold the assigner of classification; those it has are recorded.
    ASSIGNERS: ClassVar[tuple[str, ...]] = (
        "assigner",
        "cls_assigner",
        "initial_assigner",
        "alignment_assigner",
    )

    def __init__(self, detector: Detector, classifiers: list[Classifier], **options: Any) -> None:
        super().__init__(detector, classifiers, **{"num_slots": 2048, **options})
        self.matches: list[Match] = []
        self.head = (self.head_of(detector),)  # in a tuple: it is the detector's part and not the adapter's
        self.record(self.head[0])

    def head_of(self, detector: Detector) -> Any:
        """The head that matches and classifies."""
        return detector.bbox_head

    def record(self, head: Any) -> None:
        """Stand recorders where the head's assigners stand."""
        own = {name: getattr(head, name, None) for name in self.ASSIGNERS}
        recorders = {id(a): MatchRecorder(a, self.matches) for a in own.values() if a is not None}
        for name, assigner in own.items():
            if assigner is not None:
                setattr(head, name, recorders[id(assigner)])

    @classmethod
    def prepare(cls, detector: ConfigDict, num_clusters: int) -> None:
        """See :class:`Adapter`; anchors that cross the border take part, so every prior can be counted."""
        super().prepare(detector, num_clusters)
        for config in (detector.get("train_cfg"), head_config(detector)):
            _allow_border(config)

    def attach(self, detector: Detector, number: int, classifier: Classifier) -> None:
        """See :class:`Adapter`."""
        layer = detector.get_submodule(classifier.name)
        layer.register_forward_pre_hook(Tap(self.features, number, classifier.priors))

    def label(self, samples: list[Any]) -> None:
        """Labels stay clusters."""
        check_clusters(samples, max(1, self.head[0].num_classes))

    def clear(self) -> None:
        """See :class:`Adapter`."""
        super().clear()
        self.matches.clear()

    def places(self, samples: list[Any]) -> Places:
        """Every prior of every image, in the order of the assigner: levels, rows, columns, priors."""
        index, ids = [], []
        for image, sample in enumerate(samples):
            everywhere = self.places_of(image)
            here, found = self.ids_of(image, sample, everywhere)
            index.append(here)
            ids.append(found)
        return Places(torch.cat(index), torch.cat(ids))

    def places_of(self, image: int) -> Tensor:
        """Places of one image's priors, level by level."""
        spans = []
        for call in self.features.calls:
            size = call.count // len(call.x)
            first = call.first + image * size
            spans.append(torch.arange(first, first + size, device=call.x.device))
        return torch.cat(spans)

    def ids_of(self, image: int, sample: Any, places: Tensor) -> tuple[Tensor, Tensor]:
        """Places of one image that count, and their ids."""
        ids = self.ids_from(self.matches[image])
        if len(ids) != len(places):
            places = places[self._valid(sample, len(ids), places.device)]
        counted = ids != LEFT_OUT
        return places[counted], ids[counted]

    def ids_from(self, match: Match) -> Tensor:
        """``(n,)`` ids of the predictions that the assigner was shown."""
        return match.ids

    def _valid(self, sample: Any, expected: int, device: torch.device) -> Tensor:
        """Priors that lie on the image and not on the padding: the head shows its assigner only these."""
        head = self.head[0]
        generator = getattr(head, "prior_generator", None) or head.square_anchor_generator
        sizes = [call.x.shape[-2:] for call in self.features.calls]
        valid = torch.cat(generator.valid_flags(sizes, sample.metainfo["pad_shape"], device=device))
        if int(valid.sum()) != expected:
            raise RuntimeError(
                f"{type(head).__name__} matched {expected} priors, where its prior generator counts "
                f"{int(valid.sum())}; this head needs an adapter of its own: docs/adapters.md."
            )
        return valid.nonzero().flatten()


def _allow_border(config: Any) -> None:
    if isinstance(config, dict) and "allowed_border" in config:
        config["allowed_border"] = -1
    for part in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        _allow_border(part)


@serves("PAAHead")
class OverlapAdapter(ScoreAdapter):
    """PAA: scores thin out its assigner's lax candidates (IoU 0.1); here IoU does.

    An anchor is its proposal's from IoU 0.5, or if no other anchor overlaps that proposal more.
    """

    MIN_OVERLAP: ClassVar[float] = 0.5

    def ids_from(self, match: Match) -> Tensor:
        """See :class:`ScoreAdapter`."""
        if match.overlaps is None:
            return match.ids
        enough = best_or(self.MIN_OVERLAP, match.ids, match.overlaps)
        return torch.where((match.ids >= 0) & ~enough, LEFT_OUT, match.ids)
