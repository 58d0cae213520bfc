"""Build the optimiser of a pre-training by the rules of the detector's own config."""

from __future__ import annotations

import copy
from typing import Any

from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as CONSTRUCTORS
from torch import nn

from aligndet.box_domain.momentum import unwrapped
from aligndet.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DetectorConstructor:
    """Let mmengine's constructor, or one of the user's, see the detector as in its own training.

    It gets the online network, with its class and the names of its parameters (``backbone.…``,
    ``bbox_head.…``), and beside them the projectors as ``aligndet.…``; the momentum network, which no
    optimiser moves, is not shown.

    Args:
        optim_wrapper_cfg: as any constructor's.
        paramwise_cfg: of the user; ``constructor`` in it names the user's constructor, if there is one.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        self.optim_wrapper_cfg, self.paramwise_cfg = optim_wrapper_cfg, dict(paramwise_cfg or {})
        self.kind = self.paramwise_cfg.pop("constructor", "DefaultOptimWrapperConstructor")

    def __call__(self, model: nn.Module) -> Any:
        """Build the wrapper of a pre-trainer's optimiser."""
        options = {"optim_wrapper_cfg": self.optim_wrapper_cfg, "paramwise_cfg": self.paramwise_cfg or None}
        return CONSTRUCTORS.build({"type": self.kind, **options})(detector_of(unwrapped(model)))


def detector_of(pretrainer: Any) -> nn.Module:
    """Show a pre-trainer's online network as a detector that has the projectors as a part, ``aligndet``."""
    shown: nn.Module = copy.copy(pretrainer.online)  # shares all parts
    shown._modules = {**pretrainer.online._modules, "aligndet": pretrainer.online_adapter}
    return shown
