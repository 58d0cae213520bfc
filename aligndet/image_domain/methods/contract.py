"""What a method of stage 1 that trains more of a detector than its backbone says of itself.

A method is one module (or package) named in :data:`aligndet.registry.METHODS`. Importing it registers its
model, data sets, transforms and hooks; its ``METHOD`` is a :class:`DetectorMethod`. Everything else, export,
the pipeline and the command line, goes by that.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from aligndet import registry
from aligndet.image_domain.normalisation import Normalisation


@dataclass(frozen=True)
class DetectorMethod:
    """A method that trains backbone and more of a two-stage detector.

    Attributes:
        name: for people.
        model: ``type`` of its model in a config; empty where only checkpoints of others are read.
        names: maps a detector's tensor names to the names in a checkpoint; empty where the checkpoint is of
            another method. See :data:`.export.PRETRAINED` for what of them is taken over.
        layout: the keys that such a checkpoint has, for errors.
        published_normalisation: of images, where a checkpoint does not say.
    """

    name: str
    model: str
    names: Callable[[Mapping[str, Tensor]], dict[str, str]]
    layout: str
    published_normalisation: Normalisation | None = None


def methods() -> list[DetectorMethod]:
    """Every method, in the order of the list."""
    return [importlib.import_module(module).METHOD for module in registry.METHODS]


def method_of(tensors: Mapping[str, Tensor]) -> DetectorMethod | None:
    """Find the method that wrote a checkpoint; None where it holds a backbone only, or something else."""
    return next((method for method in methods() if method.names(tensors)), None)


def method_of_model(kind: str) -> DetectorMethod | None:
    """Find the method of a config's ``model.type``; None where that trains a backbone only."""
    return next((method for method in methods() if method.model and method.model == kind), None)
