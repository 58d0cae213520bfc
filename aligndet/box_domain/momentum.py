"""The momentum network is a second detector that follows the online one.

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

from aligndet.common.errors import InputError
from aligndet.common.finite import STEP_APPLIED
from aligndet.registry import HOOKS

Network = tuple[nn.Module, nn.Module]


def follower_of(detector: nn.Module, adapter: nn.Module, shared: list[str]) -> Network:
    """Copy a detector with its adapter, sharing the children of the detector that ``shared`` names.

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
        _make_deterministic(module)
    return detector, adapter


def _make_deterministic(module: Any) -> None:
    """Switch off what makes two passes of a module differ: dropout, drop-path, moving statistics.

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
    """Set ``momentum = keep * momentum + (1 - keep) * online`` for parameters and float buffers.

    Other buffers (counters) are copied. Source: MoCo (arXiv 1911.05722), eq. 2.

    Args:
        online: detector and adapter.
        momentum: their follower.
        keep: momentum coefficient in [0, 1], where 0 copies.
    """
    sources = dict(_state(online))
    pairs = [(target, sources[name]) for name, target in _state(momentum)]
    floats = [(target, source) for target, source in pairs if target.is_floating_point()]
    if floats and keep:  # 0 copies below: 0 * NaN is NaN
        targets, values = (list(side) for side in zip(*floats, strict=True))
        torch._foreach_mul_(targets, keep)
        torch._foreach_add_(targets, values, alpha=1 - keep)
    for target, source in pairs:
        if not keep or not target.is_floating_point():
            target.copy_(source)


def _state(network: Network) -> Iterator[tuple[str, Tensor]]:
    """Yield parameters and buffers of detector and adapter under names that both networks share."""
    for number, module in enumerate(network):
        for name, value in chain(module.named_parameters(), module.named_buffers()):
            yield f"{number}.{name}", value


def cosine(base: float, step: int, total: int) -> float:
    """Give the momentum coefficient at ``step`` of ``total``: half a cosine from ``base`` to 1."""
    return 1 - (1 - base) * (math.cos(math.pi * min(step, total) / max(1, total)) + 1) / 2


@HOOKS.register_module()
class MomentumHook(Hook):
    """Start the momentum network equal to the online one and move it after each optimiser step.

    Args:
        base: momentum coefficient of the first step; it rises to 1 along a cosine over the training. The
            network looks back about ``1 / (1 - base)`` steps, which must stay well below the length of the
            run: 0.996 suits tens of thousands of steps, a run of a few hundred wants 0.95.

    Raises:
        InputError: ``base`` lies outside [0, 1].
    """

    priority = "NORMAL"

    def __init__(self, base: float = 0.996) -> None:
        if not 0 <= base <= 1:
            raise InputError(f"MomentumHook: base must lie in [0, 1], got {base}")
        self.base = base

    def before_train(self, runner: Any) -> None:
        """Copy online to momentum, unless the run goes on from a checkpoint of its own."""
        if runner.iter == 0:
            unwrapped(runner.model).follow(0.0)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Move the follower once per step that the optimiser makes, however many batches it gathers."""
        if runner.optim_wrapper.should_update() and runner.message_hub.get_info(STEP_APPLIED, True):
            keep = cosine(self.base, runner.iter, runner.max_iters)
            unwrapped(runner.model).follow(keep)
            runner.message_hub.update_scalar("train/momentum", keep)


def unwrapped(model: Any) -> Any:
    """Take a model out of its wrapper for several processes, where it is in one."""
    return model.module if is_model_wrapper(model) else model
