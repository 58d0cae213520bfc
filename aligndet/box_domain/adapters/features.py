"""What a detector's classification layers read in one step, and how places in it become embeddings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass
class Places:
    """Where n slots are: ``index (n,)`` as :class:`Features` counts; ``ids (n,)``, background negative."""

    index: Tensor
    ids: Tensor


@dataclass
class Call:
    """One call of a classification layer.

    Attributes:
        x: its input, a map ``(B, C, H, W)`` or rows ``(N, C)``.
        classifier: number of the layer.
        priors: predictions per cell or row.
        first: place of its first prediction.
    """

    x: Tensor
    classifier: int
    priors: int
    first: int

    @property
    def count(self) -> int:
        """Places in this call."""
        return self.x.numel() // max(1, self.x.shape[1]) * self.priors


class Features:
    """Inputs of the classification layers, in the order in which the detector called them.

    A *place* is the number of one prediction: calls in their order, then image, row, column, prior.

    Args:
        kernel: side of the neighbourhood in a map that a slot reads, in cells; 1 or 3.
    """

    def __init__(self, kernel: int = 1) -> None:
        self.kernel = kernel
        self.calls: list[Call] = []

    def add(self, x: Tensor, classifier: int = 0, priors: int = 1) -> int:
        """Keep the input of a call, see :class:`Call`. Returns its first place."""
        first = self.calls[-1].first + self.calls[-1].count if self.calls else 0
        self.calls.append(Call(x, classifier, priors, first))
        return first

    def clear(self) -> None:
        """Forget this step."""
        self.calls = []

    def image_of(self, index: Tensor) -> Tensor:
        """Row of the batch of each place, where all calls were maps."""
        image = torch.zeros_like(index)
        for call, here in self._visited(index):
            image[here] = (index[here] - call.first) // (call.count // max(1, len(call.x)))
        return image

    def embed(self, index: Tensor, projectors: Iterable[Any]) -> Tensor:
        """Embeddings at places, with graph.

        Args:
            index: ``(n,)`` places.
            projectors: one per classification layer.

        Returns:
            ``(n, embed_dim)``. Layers that were not visited take part with zero, for DDP.
        """
        order, rows = [], []
        for number, projector in enumerate(projectors):
            where, features, prior = self._gather(index, number)
            if features is None:
                weight = projector.hidden.weight
                features = weight.new_zeros(0, weight.shape[1])
            order.append(where)
            rows.append(projector(features, prior))
        return torch.cat(rows)[torch.cat(order).argsort()]

    def _gather(self, index: Tensor, classifier: int) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """What of ``index`` one classifier saw: positions in it, features, priors where it has several."""
        order, features, priors = [index.new_zeros(0)], [], []
        several = False
        for call, here in self._visited(index, classifier):
            local = index[here] - call.first
            order.append(here)
            priors.append(local % call.priors)
            features.append(read(call.x, local // call.priors, self.kernel))
            several |= call.priors > 1
        if not features:
            return order[0], None, None
        return torch.cat(order), torch.cat(features), torch.cat(priors) if several else None

    def _visited(self, index: Tensor, classifier: int | None = None) -> list[tuple[Call, Tensor]]:
        calls = [c for c in self.calls if classifier is None or c.classifier == classifier]
        inside = [((index >= c.first) & (index < c.first + c.count)).nonzero().flatten() for c in calls]
        return list(zip(calls, inside, strict=True))


def read(x: Tensor, cell: Tensor, kernel: int) -> Tensor:
    """Rows of ``x (N, C)``, or the ``kernel x kernel`` neighbourhoods in ``x (B, C, H, W)``, at cells.

    Returns:
        ``(n, C * kernel * kernel)``.
    """
    if x.dim() == 2:
        return x[cell]
    height, width = x.shape[2:]
    image, row, col = cell // (height * width), cell // width % height, cell % width
    if kernel == 1:
        return x[image, :, row, col]
    step = torch.arange(kernel, device=x.device)
    padded = F.pad(x, (kernel // 2,) * 4)
    rows = (row[:, None, None] + step[:, None]).expand(-1, kernel, kernel)
    cols = (col[:, None, None] + step).expand(-1, kernel, kernel)
    return padded[image[:, None, None], :, rows, cols].flatten(1)


def sample_slots(ids: Tensor, group: Tensor, num: int, pos_fraction: float = 1.0) -> Tensor:
    """Choose at most ``num`` slots of each group: positives first, at random, then random background.

    Args:
        ids: ``(n,)``, background negative.
        group: ``(n,)``, e.g. the image of each slot.
        num: slots per group.
        pos_fraction: part of ``num`` that positives may take, as in mmdet's samplers.

    Returns:
        Indices of the chosen, ``(m,)``.
    """
    most = round(num * pos_fraction)
    luck = torch.rand(len(ids), device=ids.device)
    chosen = []
    for member in (group == g for g in group.unique()):
        positive = _draw(luck, member & (ids >= 0), most)
        chosen += [positive, _draw(luck, member & (ids < 0), num - len(positive))]
    return torch.cat(chosen) if chosen else ids.new_zeros(0)


def _draw(luck: Tensor, among: Tensor, num: int) -> Tensor:
    where = among.nonzero().flatten()
    return where[luck[where].topk(min(num, len(where))).indices]
