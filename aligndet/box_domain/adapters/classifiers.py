"""Find the classification layers of any detector without knowing their names.

A layer classifies if its shape follows ``num_classes``. So two probes of the detector are built, with
``num_classes`` one apart and no backbone, and their parameters compared.
"""

from __future__ import annotations

import copy
from typing import Any

from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from torch import nn

HEADS = ("bbox_head", "roi_head")


def classifier_names(detector: ConfigDict) -> list[str]:
    """Dotted names of the layers whose shape follows ``num_classes``, in order of construction.

    Args:
        detector: an mmdet model config.
    """
    few, more = (dict(_probe(detector, extra).named_parameters()) for extra in (0, 1))
    changed = [name for name, value in few.items() if more[name].shape != value.shape]
    return list(dict.fromkeys(name.rpartition(".")[0] for name in changed))


def _probe(detector: ConfigDict, extra: int) -> nn.Module:
    config = copy.deepcopy(detector)
    config.backbone = ConfigDict(type=nn.Identity)
    config.pop("data_preprocessor", None)
    for head in HEADS:
        if config.get(head):
            shift_classes(config[head], extra)
    return MODELS.build(config)


def shift_classes(config: Any, extra: int) -> None:
    """Add ``extra`` to every ``num_classes`` below ``config``, in place."""
    if isinstance(config, dict):
        if isinstance(config.get("num_classes"), int):
            config["num_classes"] += extra
        for value in config.values():
            shift_classes(value, extra)
    elif isinstance(config, (list, tuple)):
        for value in config:
            shift_classes(value, extra)
