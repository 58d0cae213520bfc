"""An adapter turns one kind of head's predictions into slots, and is chosen by the class of the head.

Adapters know mmdet's heads, so that nobody else has to. A new one is a file with a class under ``@serves``
and its name in ``adapters/__init__.py``; from another project it is a module that the config imports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, TypeVar

import torch
from mmengine.config import ConfigDict
from torch import Tensor, nn

from aligndet.box_domain.adapters.ancestry import ancestry, full_name, is_mmdets, nearest
from aligndet.box_domain.adapters.classifiers import Classifier, find_classifiers, inputs, set_classes
from aligndet.box_domain.adapters.features import Features, Places, sample_slots
from aligndet.box_domain.adapters.projector import Projector
from aligndet.box_domain.adapters.refusals import refuse
from aligndet.box_domain.slots import Slots
from aligndet.common.errors import InputError

Losses = dict[str, Any]
#: A detector as mmdet builds it.
Detector = Any
A = TypeVar("A", bound="type[Adapter]")

#: Keys of a model config, and attributes of a detector, that hold the head; the first one counts.
HEAD_KEYS = ("roi_head", "bbox_head", "rpn_head")

#: Head class, or its name as ``class_named`` reads it -> the adapter of that class and its sub-classes.
_SERVED: dict[str | type, type[Adapter]] = {}


class Adapter(nn.Module):
    """Turns one kind of head's predictions into slots.

    Online and momentum network have an adapter each.

    A sub-class says in :meth:`attach` how the features before each classification layer are kept, and in
    :meth:`places` which of them are slots of which instance.

    Args:
        detector: built by mmdet from the prepared config; the adapter attaches itself to it.
        classifiers: the detector's classification layers; each gets a projector.
        embed_dim: width of the embeddings.
        num_slots: slots kept per image or per batch, positives first. 0 keeps all that the head matched.
        per: what ``num_slots`` counts by.
        pos_fraction: part of ``num_slots`` that positives may take; the rest is background.
        kernel: side of the neighbourhood the projector reads in a map, in cells.

    Raises:
        InputError: in a step, where the head gives another number of ids than of features.
    """

    #: Prefixes of losses to drop, after a detector's ``s0.`` or ``d0.``.
    NOT_A_LOSS: ClassVar[tuple[str, ...]] = ("acc",)
    #: Family of detectors whose recipe this kind is pre-trained with: ``configs/_base_/recipe_RECIPE.py``.
    RECIPE: ClassVar[str] = "cnn"

    def __init__(
        self,
        detector: Detector,
        classifiers: list[Classifier],
        embed_dim: int = 256,
        num_slots: int = 0,
        per: Literal["image", "batch"] = "image",
        pos_fraction: float = 1.0,
        kernel: int = 1,
    ) -> None:
        super().__init__()
        self.num_slots, self.per, self.pos_fraction = num_slots, per, pos_fraction
        self.head_name = name_of_head(detector)
        self.features = Features(kernel)
        self.projectors = nn.ModuleList()
        for number, classifier in enumerate(classifiers):
            width = inputs(detector.get_submodule(classifier.name))
            self.projectors.append(Projector(width * kernel**2, embed_dim, width, classifier.priors))
            self.attach(detector, number, classifier)

    @classmethod
    def prepare(cls, detector: ConfigDict, num_clusters: int) -> None:
        """Change the detector's config, in place, to what pre-training needs of it."""
        set_classes(detector, num_clusters)

    @classmethod
    def classifiers(cls, detector: ConfigDict) -> list[Classifier]:
        """List the classification layers of a prepared detector."""
        return find_classifiers(detector)

    def attach(self, detector: Detector, number: int, classifier: Classifier) -> None:
        """Make the detector hand the inputs of classification layer ``number`` to ``self.features``."""
        raise NotImplementedError

    def places(self, samples: list[Any]) -> Places:
        """Say, after the detector's loss, which places belong to which instance (background negative)."""
        raise NotImplementedError

    def label(self, samples: list[Any]) -> None:
        """Set, before the detector's loss, what the proposals' ``labels`` are to the head."""

    def clear(self) -> None:
        """Forget this step."""
        self.features.clear()

    def forward(self, detector: Detector, inputs: Tensor, samples: list[Any]) -> tuple[Slots, Losses]:
        """Run the detector on one view.

        Args:
            detector: the detector this adapter is attached to.
            inputs: ``(B, 3, H, W)``, normalised and padded.
            samples: DetDataSample per image. ``gt_instances`` has ``bboxes`` (xyxy, pixels of the view),
                ``labels`` (cluster of each proposal, 0 where there are none) and ``instance_ids``
                (unique over the batch, equal in both views).

        Returns:
            Slots, and the losses of the detector without those that ``NOT_A_LOSS`` names.
        """
        self.label(samples)
        try:
            losses = self.keep_losses(detector.loss(inputs, samples))
            return self._slots(self.places(samples)), losses
        finally:
            self.clear()

    def expect(self, ids: int, features: int) -> None:
        """Raise unless a head gives as many ids as it has features to carry them.

        Raises:
            InputError: naming the head and the adapter.
        """
        if ids != features:
            raise InputError(
                f"model.detector: {self.head_name} gave its classifier {features} features, but "
                f"{type(self).__name__} has ids for {ids}, so it is unknown which belongs to which. This "
                "head needs an adapter of its own: docs/adapters.md."
            )

    def in_order(self, ids: Tensor) -> Places:
        """Give ids to all features of the step, which were read in the order of ``ids (n,)``.

        Raises:
            InputError: there are more features than ids, or fewer.
        """
        self.expect(len(ids), self.features.count)
        return Places(torch.arange(len(ids), device=ids.device), ids)

    def _slots(self, places: Places) -> Slots:
        index, ids = places.index, places.ids  # (p,), (p,)
        self.expect(len(ids), len(index))
        if self.num_slots:
            group = self.features.image_of(index) if self.per == "image" else torch.zeros_like(index)  # (p,)
            chosen = sample_slots(ids, group, self.num_slots, self.pos_fraction)  # (p,) -> (n,)
            index, ids = index[chosen], ids[chosen]  # (n,), (n,)
        return Slots(self.features.embed(index, self.projectors), ids)  # (n,) -> (n, embed_dim)

    @classmethod
    def keep_losses(cls, losses: Losses) -> Losses:
        """Drop the losses that ``NOT_A_LOSS`` names."""
        return {k: v for k, v in losses.items() if not k.split(".")[-1].startswith(cls.NOT_A_LOSS)}


def serves(*heads: str | type) -> Callable[[A], A]:
    """Register an adapter for head classes, and so for their sub-classes.

    Args:
        heads: classes, or names: ``RetinaHead`` is mmdet's class and no namesake, ``mylib.RetinaHead`` that of
            another scope or module.
    """

    def register(adapter: A) -> A:
        for head in heads:
            _SERVED[head] = adapter
        return adapter

    return register


def name_of_head(detector: Detector) -> str:
    """Name the class of the head that finds objects in a built detector."""
    heads = (getattr(detector, key, None) for key in HEAD_KEYS)
    return type(next((head for head in heads if head is not None), detector)).__name__


def head_config(detector: ConfigDict) -> ConfigDict:
    """Return the config of the head that finds objects: ``roi_head`` where there is one, else another.

    Raises:
        InputError: the detector has none.
    """
    for key in HEAD_KEYS:
        if detector.get(key):
            return detector[key]
    raise InputError(
        f"model.detector (type {detector.get('type')!r}) has no roi_head, bbox_head or rpn_head, so it "
        "predicts no boxes that could be pre-trained. Give the model of a box detector."
    )


def adapter_for(detector: ConfigDict) -> type[Adapter]:
    """Return the adapter of a detector: that of the nearest registered class in the MRO of its head.

    Raises:
        InputError: the detector is of a kind that cannot be served, or no adapter serves its head. The
            message says why, and what to do.
    """
    refuse(detector)
    config = head_config(detector)
    classes = ancestry(config)
    if not classes:
        name = config["type"]
        raise InputError(f"model.detector: head type {name!r} is not registered; is its module imported?")
    adapter = nearest(classes, _SERVED)
    if adapter is None:
        raise InputError(_not_served(classes[0]))
    return adapter


def _not_served(head: type) -> str:
    served = ", ".join(sorted(str(getattr(key, "__name__", key)) for key in _SERVED))
    name = head.__name__ if is_mmdets(head) else f"{head.__name__} ({full_name(head)})"
    namesake = " mmdet's class of the same name is another one." if head.__name__ in _SERVED else ""
    return (
        f"No adapter serves the head {name} (model.detector).{namesake} Served: {served}, of mmdet, and their "
        "sub-classes. docs/adapters.md shows how to add one."
    )
