"""Find the classification layers of any detector without knowing their names.

A layer classifies if its shape follows ``num_classes``. So two probes of the detector are built, with
``num_classes`` one apart and no backbone, and their parameters compared: a layer with p predictions per
location has p channels more in the second.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from torch import nn

from aligndet.box_domain.adapters.heads import classifying_keys, head_key


@dataclass(frozen=True)
class Classifier:
    """Names a layer that gives class scores.

    Attributes:
        name: dotted, in the detector.
        priors: predictions per location (anchors), 1 for points, RoIs and queries.
    """

    name: str
    priors: int = 1


def find_classifiers(detector: ConfigDict) -> list[Classifier]:
    """List the linear and convolutional layers whose outputs follow ``num_classes``, as they are built.

    Args:
        detector: an mmdet model config; layers of its head that predicts are listed, and of no helper's.
    """
    few, more = _probe(detector, 0), _probe(detector, 1)
    classifiers: dict[int, Classifier] = {}
    for name in _changed(few, more):
        if not name.startswith(f"{head_key(detector)}."):
            continue
        layer, wider = few.get_submodule(name), more.get_submodule(name)
        if isinstance(layer, (nn.Linear, nn.Conv2d)):  # a layer that several stages share counts once
            classifiers.setdefault(id(layer), Classifier(name, outputs(wider) - outputs(layer)))
    return list(classifiers.values())


def classifier_names(detector: ConfigDict) -> list[str]:
    """List the dotted names of all modules with a parameter whose shape follows ``num_classes``.

    Class embeddings (DINO's denoising queries) and class priors (AutoAssign) are among them. A module that
    stages share appears under each of its names.
    """
    return _changed(_probe(detector, 0), _probe(detector, 1))


def inputs(layer: Any) -> int:
    """Count the channels that a linear or convolutional layer reads."""
    return layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels


def outputs(layer: Any) -> int:
    """Count the channels that a linear or convolutional layer gives."""
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def set_classes(detector: ConfigDict, num_classes: int) -> None:
    """Set every ``num_classes`` of the detector's heads and of their assigners, in place."""
    for key in (*classifying_keys(detector), "train_cfg"):
        _each_num_classes(detector.get(key), lambda _: num_classes)


def _changed(few: nn.Module, more: nn.Module) -> list[str]:
    wider = dict(more.named_parameters(remove_duplicate=False))
    narrow = few.named_parameters(remove_duplicate=False)
    changed = [name for name, value in narrow if wider[name].shape != value.shape]
    return list(dict.fromkeys(name.rpartition(".")[0] for name in changed))


def _probe(detector: ConfigDict, extra: int) -> nn.Module:
    config = copy.deepcopy(detector)
    config.backbone.type = _NoBackbone
    config.pop("data_preprocessor", None)
    for key in classifying_keys(config):
        _each_num_classes(config[key], lambda classes: classes + extra)
    return MODELS.build(config)


class _NoBackbone(nn.Module):
    """Stands where a backbone stood: its options can be read (Trident's detector does), nothing else."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        for name, value in options.items():
            setattr(self, name, value)


def _each_num_classes(config: Any, change: Any) -> None:
    if isinstance(config, dict):
        if isinstance(config.get("num_classes"), int):
            config["num_classes"] = change(config["num_classes"])
        for value in config.values():
            _each_num_classes(value, change)
    elif isinstance(config, (list, tuple)):
        for value in config:
            _each_num_classes(value, change)
