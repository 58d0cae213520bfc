"""Features are what a detector's classification layers read, and places in them become embeddings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass
class Places:
    """Says where n slots are.

    Attributes:
        index: ``(n,)`` places, as :class:`Features` counts them.
        ids: ``(n,)`` instance of each, background negative.
    """

    index: Tensor
    ids: Tensor


@dataclass
class Call:
    """Keeps one call of a classification layer.

    Attributes:
        x: its input, a map ``(B, C, H, W)`` or rows ``(N, C)``.
        classifier: number of the layer.
        priors: predictions per cell or row.
        first: place of its first prediction.
        rows: images that it is about, 0 where that is unknown.
        run: places in a row that belong to one image, before those of the next.
    """

    x: Tensor
    classifier: int
    priors: int
    first: int
    rows: int = 0
    run: int = 1

    @property
    def count(self) -> int:
        """Number of places in this call."""
        return self.x.numel() // max(1, self.x.shape[1]) * self.priors


class Features:
    """Keeps the inputs of the classification layers, in the order in which the detector called them.

    A *place* is the number of one prediction: calls in their order, then image, row, column, prior.

    Args:
        kernel: side of the neighbourhood in a map that a slot reads, 1 or 3 cells.

    Attributes:
        images: rows of the batch, by which rows of features are told apart.
    """

    def __init__(self, kernel: int = 1) -> None:
        self.kernel = kernel
        self.images = 0
        self.calls: list[Call] = []

    def add(self, x: Tensor, classifier: int = 0, priors: int = 1) -> int:
        """Keep the input of a call, as :class:`Call` describes it, and return its first place."""
        rows = len(x) if x.dim() == 4 else 0
        call = Call(x, classifier, priors, self.count, rows)
        call.run = max(1, call.count // max(1, rows)) if rows else 1
        self.calls.append(call)
        return call.first

    def add_rows(self, x: Tensor, classifier: int = 0) -> int:
        """Keep rows ``(..., C)`` of which the last dimensions before ``C`` may be images and queries."""
        first = self.add(x.flatten(0, -2), classifier)
        outer, inner = (0, 0, *x.shape[:-1])[-2:]
        images_first, images_last = outer == self.images, inner == self.images
        if images_first != images_last:  # (..., images, queries) or (..., queries, images)
            self.calls[-1].rows, self.calls[-1].run = self.images, inner if images_first else 1
        return first

    @property
    def count(self) -> int:
        """Number of places in all calls of this step."""
        return self.calls[-1].first + self.calls[-1].count if self.calls else 0

    def clear(self) -> None:
        """Forget this step."""
        self.calls = []

    def image_of(self, index: Tensor) -> Tensor:
        """Return the image of each place ``(n,)``, -1 where it is unknown.

        Where a head repeats the batch, each repetition is an image of its own.
        """
        if not self.calls:
            return torch.full_like(index, -1)
        first, rows, run = self._look_up(index, [(c.first, c.rows, c.run) for c in self.calls])
        return torch.where(rows > 0, (index - first) // run % rows.clamp(min=1), -1)

    def cells(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Say where in the image places ``(n,)`` of maps lie.

        Returns:
            Centre and size of each place's cell, ``(n, 2)`` each, x before y, as parts of the image.
        """
        calls = [(c.first, c.priors, *c.x.shape[2:]) for c in self.calls]
        first, priors, height, width = self._look_up(index, calls)
        cell = (index - first) // priors
        at = torch.stack([cell % width, cell // width % height], 1)  # (n, 2) column, row
        size = torch.stack([width, height], 1)
        return (at + 0.5) / size, 1 / size

    def _look_up(self, index: Tensor, calls: list[tuple[int, ...]]) -> tuple[Tensor, ...]:
        """Return for each place ``(n,)`` the numbers of its call; the first says where calls begin."""
        table = torch.tensor(calls, device=index.device)  # (calls, numbers)
        call = torch.bucketize(index, table[:, 0].contiguous(), right=True) - 1
        return table[call.clamp(min=0)].unbind(1)  # numbers of (n,)

    def embed(self, index: Tensor, projectors: Iterable[Any]) -> Tensor:
        """Embed places, with graph.

        Args:
            index: ``(n,)`` places.
            projectors: one per classification layer.

        Returns:
            ``(n, embed_dim)``. Layers that were not visited take part with zero, for DDP.
        """
        order, rows = [], []
        for number, projector in enumerate(projectors):
            where, features, prior = self._gather(index, number)  # (m,), (m, kernel * kernel * C), (m,)
            if features is None:
                weight = projector.hidden.weight
                features = weight.new_zeros(0, weight.shape[1])
            order.append(where)
            rows.append(projector(features, prior))  # (m, embed_dim)
        return torch.cat(rows)[torch.cat(order).argsort()]  # (n, embed_dim), back in the order of index

    def _gather(self, index: Tensor, classifier: int) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Gather what one classifier saw of ``index (n,)``.

        Returns:
            For the m places that were its: ``(m,)`` positions in ``index``, features
            ``(m, kernel * kernel * C)`` or None where it was not visited, ``(m,)`` priors or None where a
            location has one.
        """
        order, features, priors = [index.new_zeros(0)], [], []
        several = False
        for call, inside in self._visited(index, classifier):
            local = index[inside] - call.first  # (c,) places within the call
            order.append(inside)
            priors.append(local % call.priors)
            features.append(read(call.x, local // call.priors, self.kernel))  # (c, kernel * kernel * C)
            several |= call.priors > 1
        if not features:
            return order[0], None, None
        return torch.cat(order), torch.cat(features), torch.cat(priors) if several else None

    def _visited(self, index: Tensor, classifier: int | None = None) -> list[tuple[Call, Tensor]]:
        """List calls, of one classifier or of all, with the positions in ``index`` of the places inside."""
        calls = [c for c in self.calls if classifier is None or c.classifier == classifier]
        inside = [((index >= c.first) & (index < c.first + c.count)).nonzero().flatten() for c in calls]
        return list(zip(calls, inside, strict=True))


def read(x: Tensor, cell: Tensor, kernel: int) -> Tensor:
    """Read rows of ``x (N, C)``, or ``kernel x kernel`` neighbourhoods in ``x (B, C, H, W)``, at n cells.

    Returns:
        ``(n, kernel * kernel * C)``.
    """
    if x.dim() == 2:
        return x[cell]  # (N, C) -> (n, C)
    height, width = x.shape[2:]
    image, row, col = cell // (height * width), cell // width % height, cell % width  # (n,) each
    if kernel == 1:
        return x[image, :, row, col]  # (B, C, H, W) -> (n, C)
    step = torch.arange(kernel, device=x.device)
    padded = F.pad(x, (kernel // 2,) * 4)  # (B, C, H + kernel - 1, W + kernel - 1)
    rows = (row[:, None, None] + step[:, None]).expand(-1, kernel, kernel)  # (n, kernel, kernel)
    cols = (col[:, None, None] + step).expand(-1, kernel, kernel)  # (n, kernel, kernel)
    return padded[image[:, None, None], :, rows, cols].flatten(
        1
    )  # (n, kernel, kernel, C) -> (n, kernel * kernel * C)


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
    priority = torch.rand(len(ids), device=ids.device)
    chosen = []
    for member in (group == g for g in group.unique()):
        positive = _draw(priority, member & (ids >= 0), most)
        chosen += [positive, _draw(priority, member & (ids < 0), num - len(positive))]
    return torch.cat(chosen) if chosen else ids.new_zeros(0)


def _draw(priority: Tensor, among: Tensor, num: int) -> Tensor:
    """List at most ``num`` indices of highest ``priority (n,)`` where ``among (n,)`` holds."""
    where = among.nonzero().flatten()
    return where[priority[where].topk(min(num, len(where))).indices]
