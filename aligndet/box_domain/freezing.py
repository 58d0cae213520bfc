"""Freeze a backbone, whatever it is made of, so that two passes are equal and leave no trace."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd


def freeze(backbone: nn.Module) -> None:
    """Take the gradient from every parameter, without reading mmdet's ``frozen_stages``."""
    backbone.requires_grad_(False)


def hold_still(backbone: nn.Module) -> None:
    """Put norms, dropout and drop-path into evaluation mode, and nothing else.

    Other modules keep their mode, because some compute something else by it: TridentResNet gives its three
    branches in training mode only.
    """
    for module in backbone.modules():
        if is_random(module) or isinstance(module, _NormBase):
            module.training = False


def is_random(module: nn.Module) -> bool:
    """Tell whether a layer draws random numbers in training: dropout, attention with dropout, drop-path."""
    drop_path = hasattr(module, "drop_prob")  # mmcv's and timm's
    return drop_path or isinstance(module, (_DropoutNd, nn.MultiheadAttention))
