"""The momentum network: a second detector that follows the online one.

It starts equal to the online network, moves towards it after every optimiser step, has no gradient and no
dropout, and shares what is frozen instead of copying it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from aligndet.registry import HOOKS

Network = tuple[nn.Module, nn.Module]


def follower_of(detector: nn.Module, adapter: nn.Module, shared: list[str]) -> Network:
    """Copy a detector with its adapter; children of the detector named in ``shared`` are not copied.

    A shared child is reachable from the copy, but is no registered sub-module of it: its parameters are
    listed, stored and moved once.
    """
    memo = {id(child): child for child in (getattr(detector, name) for name in shared)}
    detector, adapter = copy.deepcopy((detector, adapter), memo)
    for name in shared:
        child = detector._modules.pop(name)
        object.__setattr__(detector, name, child)
    for module in chain(detector.modules(), adapter.modules()):
        module.requires_grad_(False)
        _still(module)
    return detector, adapter


def _still(module: Any) -> None:
    """Take from a module what makes two passes differ: dropout, drop-path, running statistics of its own.

    Batch norm keeps normalising by the batch, as in MoCo; its running statistics follow the online ones.
    """
    if isinstance(module, _DropoutNd):
        module.p = 0.0
    elif isinstance(module, nn.MultiheadAttention):
        module.dropout = 0.0
    elif hasattr(module, "drop_prob"):  # mmcv's and timm's DropPath
        module.drop_prob = 0.0
    elif isinstance(module, _NormBase):
        module.momentum = 0.0


@torch.no_grad()
def follow(online: Network, momentum: Network, keep: float) -> None:
    """``momentum = keep * momentum + (1 - keep) * online`` for parameters and float buffers; others copy.

    Args:
        online: detector and adapter.
        momentum: their follower.
        keep: momentum coefficient; 0 copies.
    """
    theirs = dict(_state(online))
    pairs = [(mine, theirs[name]) for name, mine in _state(momentum)]
    floats = [(mine, source) for mine, source in pairs if mine.is_floating_point()]
    if floats and keep:  # 0 times what was never initialised may be no number
        mine, source = (list(side) for side in zip(*floats, strict=True))
        torch._foreach_mul_(mine, keep)
        torch._foreach_add_(mine, source, alpha=1 - keep)
    for target, value in pairs:
        if not keep or not target.is_floating_point():
            target.copy_(value)


def _state(network: Network) -> Iterator[tuple[str, Tensor]]:
    for number, module in enumerate(network):
        for name, value in chain(module.named_parameters(), module.named_buffers()):
            yield f"{number}.{name}", value


def cosine(base: float, step: int, total: int) -> float:
    """Momentum coefficient at ``step`` of ``total``: from ``base`` to 1 along half a cosine."""
    return 1 - (1 - base) * (math.cos(math.pi * min(step, total) / max(1, total)) + 1) / 2


@HOOKS.register_module()
class MomentumHook(Hook):
    """Move the momentum network after each optimiser step, and start it equal to the online one.

    Args:
        base: momentum coefficient of the first step; it rises to 1 along a cosine over the training. The
            network looks back about ``1 / (1 - base)`` steps, which must stay well below the length of the
            run: 0.996 suits tens of thousands of steps, a run of a few hundred wants 0.95.
    """

    priority = "NORMAL"

    def __init__(self, base: float = 0.996) -> None:
        if not 0 <= base <= 1:
            raise ValueError(f"MomentumHook: base must lie in [0, 1], got {base}")
        self.base = base

    def before_train(self, runner: Any) -> None:
        """Copy online to momentum, unless the run goes on from a checkpoint of its own."""
        if runner.iter == 0:
            _model(runner).follow(0.0)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """One step of the follower per step of the optimiser (gradient accumulation counts once)."""
        if runner.optim_wrapper.should_update():
            keep = cosine(self.base, runner.iter, runner.max_iters)
            _model(runner).follow(keep)
            runner.message_hub.update_scalar("train/momentum", keep)


def _model(runner: Any) -> Any:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
