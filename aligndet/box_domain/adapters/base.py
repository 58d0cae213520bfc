"""What an adapter is, and how one is found for a detector.

An adapter turns one kind of detection head into slots. It knows mmdet's heads, so that nobody else has to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from torch import Tensor, nn

from ..slots import Slots

Losses = dict[str, Any]
#: A detector as mmdet builds it.
Detector = Any
A = TypeVar("A", bound="type[Adapter]")

_SERVED: dict[str, type[Adapter]] = {}


class Adapter(nn.Module):
    """One head's way to slots. Built once per network: online and momentum each have their own.

    Args:
        detector: built by mmdet from the prepared config; the adapter attaches itself to it.
        classifiers: dotted names of the detector's classification layers.
        embed_dim: width of the embeddings.
    """

    #: Keys that carry no training signal in pre-training, whatever the detector prefixes them with.
    NOT_A_LOSS: ClassVar[set[str]] = {"acc"}

    def __init__(self, detector: Detector, classifiers: list[str], embed_dim: int = 256) -> None:
        super().__init__()

    @classmethod
    def prepare(cls, detector: ConfigDict, num_clusters: int) -> None:
        """Change the detector's config, in place, to what pre-training needs of it."""

    def forward(self, detector: Detector, inputs: Tensor, samples: list[Any]) -> tuple[Slots, Losses]:
        """Run the detector on one view.

        Args:
            detector: the detector this adapter is attached to.
            inputs: ``(B, 3, H, W)``, normalised and padded.
            samples: DetDataSample per image. ``gt_instances`` has ``bboxes`` (xyxy, pixels of the view),
                ``labels`` (cluster of each proposal, 0 where there are none) and ``instance_ids``
                (unique over the batch, equal in both views).

        Returns:
            slots, and the detector's own losses without those that mean nothing here.
        """
        raise NotImplementedError

    @classmethod
    def keep_losses(cls, losses: Losses) -> Losses:
        """Losses without entries named in ``NOT_A_LOSS`` (``s0.acc`` counts as ``acc``)."""
        return {name: value for name, value in losses.items() if name.split(".")[-1] not in cls.NOT_A_LOSS}


def serves(*heads: str) -> Callable[[A], A]:
    """Register an adapter for head classes, by class name; sub-classes of a head are served too."""

    def register(adapter: A) -> A:
        for head in heads:
            _SERVED[head] = adapter
        return adapter

    return register


def head_config(detector: ConfigDict) -> ConfigDict:
    """The config of the head that classifies boxes: ``roi_head`` where there is one, else ``bbox_head``.

    Raises:
        ValueError: the detector has neither.
    """
    for key in ("roi_head", "bbox_head"):
        if detector.get(key):
            return detector[key]
    raise ValueError(
        f"model.detector (type {detector.get('type')!r}) has neither roi_head nor bbox_head, so it predicts "
        "no boxes that could be pre-trained. Give the model of a box detector."
    )


def adapter_for(detector: ConfigDict) -> type[Adapter]:
    """The adapter that serves a detector's head: the nearest registered class in the head's MRO.

    Raises:
        ValueError: no adapter serves the head; the message names it and where to read on.
    """
    name = head_config(detector)["type"]
    head = MODELS.get(name) if isinstance(name, str) else name
    if head is None:
        raise ValueError(f"model.detector: head type {name!r} is not registered; is its module imported?")
    for ancestor in head.__mro__:
        if ancestor.__name__ in _SERVED:
            return _SERVED[ancestor.__name__]
    raise ValueError(
        f"No adapter serves the head {head.__name__} (model.detector). Served: {', '.join(sorted(_SERVED))}, "
        "and their sub-classes. docs/adapters.md shows how to add one."
    )
