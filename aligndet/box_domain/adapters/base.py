"""An adapter turns one kind of head's predictions into slots, and is chosen by the class of the head.

Adapters know mmdet's heads, so that nobody else has to. A new one is a file with a class under ``@serves``
and its name in ``adapters/__init__.py``; from another project it is a module that the config imports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, NoReturn, TypeVar

import torch
from mmengine.config import ConfigDict
from torch import Tensor, nn

from aligndet.box_domain.adapters.agreement import disagreement
from aligndet.box_domain.adapters.ancestry import ancestry, full_name, is_mmdets, nearest
from aligndet.box_domain.adapters.classifiers import Classifier, find_classifiers, inputs, set_classes
from aligndet.box_domain.adapters.features import Features, Places, sample_slots
from aligndet.box_domain.adapters.heads import check_shape, head_config, name_of_head
from aligndet.box_domain.adapters.originals import Originals
from aligndet.box_domain.adapters.projector import Projector
from aligndet.box_domain.adapters.refusals import refuse
from aligndet.box_domain.adapters.roster import Roster
from aligndet.box_domain.slots import Slots
from aligndet.common.errors import InputError
from aligndet.common.modules import hint_of_class

Losses = dict[str, Any]
#: A detector as mmdet builds it.
Detector = Any
A = TypeVar("A", bound="type[Adapter]")

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

    Attributes:
        roster: which instance a box is, in the view that the detector runs on.

    Raises:
        InputError: in a step, where features, ids and instances do not agree.
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
        self.originals = Originals()
        self.roster = Roster([])
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

    def forward(
        self, detector: Detector, inputs: Tensor, data_samples: list[Any], **more: Any
    ) -> tuple[Slots, Losses]:
        """Run the detector on one view.

        Args:
            detector: the detector this adapter is attached to.
            inputs: ``(B, C, H, W)``, normalised and padded; C is 3 for colour images.
            data_samples: DetDataSample per image. ``gt_instances`` has ``bboxes`` (xyxy, pixels of the view),
                ``labels`` (cluster of each proposal, 0 where there are none) and ``instance_ids``
                (unique over the batch, equal in both views).
            more: what the detector's own data preprocessor gives beside them.

        Returns:
            Slots, and the losses of the detector without those that ``NOT_A_LOSS`` names.
        """
        self.roster, self.features.images = Roster(data_samples), len(data_samples)
        self.label(data_samples)
        try:
            losses = self.keep_losses(detector(inputs=inputs, data_samples=data_samples, mode="loss", **more))
            return self._slots(self.places(data_samples)), losses
        finally:
            self.clear()

    @property
    def names(self) -> tuple[str, str]:
        """Classes of head and adapter, for messages."""
        return self.head_name, type(self).__name__

    def expect(self, ids: int, features: int) -> None:
        """Raise unless a head gives as many ids as it has features to carry them.

        Raises:
            InputError: naming the head and the adapter.
        """
        if ids != features:
            adapter = type(self).__name__
            self.misfit(f"gave its classifier {features} features, but {adapter} has ids for {ids}")

    def misfit(self, problem: str) -> NoReturn:
        """Raise because what the head does is not what this adapter expects.

        Raises:
            InputError: naming the head and the adapter.
        """
        head, adapter = self.names
        raise InputError(
            f"model.detector: {head} {problem}, so {adapter} cannot tell which feature belongs to which "
            "instance. This head needs an adapter of its own: docs/adapters.md."
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
        if problem := disagreement(places, self.features, self.roster):
            self.misfit(problem)
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
        heads: classes, or names: ``RetinaHead`` is mmdet's class and no namesake, ``mylib.RetinaHead`` that
            of another scope or module.
    """

    def register(adapter: A) -> A:
        for head in heads:
            _SERVED[head] = adapter
        return adapter

    return register


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
        raise InputError(f"model.detector: head type {name!r} is not registered{hint_of_class(str(name))}")
    adapter = nearest(classes, _SERVED)
    if adapter is None:
        raise InputError(_not_served(classes[0]))
    check_shape(detector)
    return adapter


def _not_served(head: type) -> str:
    served = ", ".join(sorted(str(getattr(key, "__name__", key)) for key in _SERVED))
    name = head.__name__ if is_mmdets(head) else f"{head.__name__} ({full_name(head)})"
    namesake = " mmdet's class of the same name is another one." if head.__name__ in _SERVED else ""
    return (
        f"No adapter serves the head {name} (model.detector).{namesake} Served: {served} (mmdet's own "
        "where no scope is named) and their sub-classes. docs/adapters.md shows how to add one."
    )
