"""Freeze a backbone, whatever it is made of, so that two passes are equal and leave no trace."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torchvision.ops import StochasticDepth


def freeze(backbone: nn.Module) -> None:
    """Take the gradient from every parameter, without reading mmdet's ``frozen_stages``."""
    backbone.requires_grad_(False)


def hold_still(backbone: nn.Module) -> None:
    """Put what counts or draws into evaluation mode, and freeze anew what ``train()`` may have set free.

    Other modules keep their mode, because some compute something else by it: TridentResNet gives its three
    branches in training mode only.
    """
    freeze(backbone)
    for module in backbone.modules():
        if keeps_count(module) or is_random(module):
            module.training = False


def keeps_count(module: nn.Module) -> bool:
    """Tell whether a layer may keep statistics of what passes: norms, and every layer with a buffer."""
    return isinstance(module, _NormBase) or bool(module._buffers)


def is_random(module: nn.Module) -> bool:
    """Tell whether a layer draws random numbers in training: dropout, attention with dropout, drop-path.

    A layer that hands its own mode to a function (``F.dropout(x, self.attn_drop, self.training)``) is known
    by a rate that it keeps under a name with ``drop`` in it, or in a dropout layer of its own.
    """
    if isinstance(module, (_DropoutNd, nn.MultiheadAttention, StochasticDepth, nn.RReLU)):
        return True
    rates = [value for name, value in vars(module).items() if "drop" in name]
    rates += [layer.p for layer in module.children() if isinstance(layer, _DropoutNd)]
    return any(isinstance(rate, float) and rate > 0 for rate in rates)
