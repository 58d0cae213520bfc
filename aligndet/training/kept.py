"""What a forward pass leaves in a model, kept before it, so that it can be put back."""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmengine.model import BaseAveragedModel
from torch import Tensor, nn

from aligndet.training.held import owners


class Kept:
    """Copies what a forward pass changes of a model, so that it can be put back.

    That is every buffer (statistics of norms, queues of keys), the weights of averages that a model moves by
    itself (InsLoc's and MoCo's key network), and what modules hold in Python (:mod:`.held`).

    Args:
        model: watched as it is now; buffers that it replaces by others are found, new ones are not.
    """

    def __init__(self, model: nn.Module) -> None:
        modules = list(model.modules())
        self._buffers = [(module, name) for module in modules for name in module._buffers]
        self._masks = {place for place, (module, name) in enumerate(self._buffers) if _is_mask(module, name)}
        averages = [module for module in modules if isinstance(module, BaseAveragedModel)]
        self._weights = list({id(p): p for module in averages for p in module.parameters()}.values())
        self._copies: list[Tensor | None] = []
        self._held = [place for module in modules for place in owners(module)]
        self._held_copies: list[Any] = []

    def tensors(self) -> list[Tensor | None]:
        """List what is kept, as it is now."""
        return [*(module._buffers[name] for module, name in self._buffers), *self._weights]

    def floats(self) -> list[Tensor]:
        """List the buffers that must stay finite: those that are at the beginning."""
        buffers = [module._buffers[name] for module, name in self._buffers]
        return [
            value
            for place, value in enumerate(buffers)
            if value is not None and value.is_floating_point() and place not in self._masks
        ]

    @torch.no_grad()
    def keep(self) -> None:
        """Copy the present state over the copy of before."""
        self._held_copies = [copy.deepcopy(getattr(owner, name)) for owner, name in self._held]
        now = self.tensors()
        if not self._copies:
            self._copies = [None] * len(now)
        for place, value in enumerate(now):
            kept = self._copies[place]
            if value is None or kept is None or _differ(kept, value):
                self._copies[place] = None if value is None else value.detach().clone()
            else:
                kept.copy_(value)

    @torch.no_grad()
    def put_back(self) -> None:
        """Make the state what it was when it was kept."""
        for (owner, name), held in zip(self._held, self._held_copies, strict=True):
            setattr(owner, name, held)
        for place, value in enumerate(self.tensors()):
            kept = self._copies[place]
            if value is not None and kept is not None and not _differ(kept, value):
                value.copy_(kept)
            else:  # a buffer that was replaced; weights never are
                module, name = self._buffers[place]
                module._buffers[name] = None if kept is None else kept.clone()


def _is_mask(module: nn.Module, name: str) -> bool:
    value = module._buffers[name]
    return value is not None and not bool(value.isfinite().all())


def _differ(copy: Tensor, value: Tensor) -> bool:
    return (copy.shape, copy.dtype, copy.device) != (value.shape, value.dtype, value.device)
