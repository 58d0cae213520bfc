"""The recorder idea: let the detector's own code carry slots to where its own assigner left the ids.

Every mmdet head reshapes its classifier's output, assigns labels, and hands both to ``loss_cls``. So

- the classifier becomes a :class:`Pointer`: instead of scores it emits, for each prior, *where it is*;
- proposals' labels are their instance ids, and the head's background label is :data:`BACKGROUND`;
- ``loss_cls`` becomes a :class:`Recorder`: it receives places and ids, aligned by the head itself.

Features are then gathered at the few places that were sampled. No head is sub-classed, nothing is
embedded that the loss does not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Background label of a head in pre-training; above every instance id.
BACKGROUND = 1 << 40

#: Places are carried in float32, which holds integers up to here.
_LARGEST = 1 << 24


@dataclass
class Places:
    """Where n slots are: ``index`` counts through every map a Pointer has seen, in its order."""

    index: Tensor
    ids: Tensor


class Pointer(nn.Module):
    """Stands where a classification layer stood.

    Args:
        priors: predictions per location of a map (anchors); 1 for points, RoIs and queries.
        kernel: side of the neighbourhood that the projector reads, in cells; 1 or 3.
    """

    def __init__(self, priors: int = 1, kernel: int = 1) -> None:
        super().__init__()
        self.priors = priors
        self.kernel = kernel
        self.maps: list[Tensor] = []
        self._next = 0

    def forward(self, x: Tensor) -> Tensor:
        """Remember ``x`` and return the place of every prediction on it.

        Args:
            x: ``(B, C, H, W)`` map, or ``(N, C)`` rows.

        Returns:
            ``(B, priors, H, W)`` or ``(N, 1)`` float32: what a classifier with one class would have.
        """
        self.maps.append(x)
        shape = (x.shape[0], *x.shape[2:], self.priors)
        count = torch.Size(shape).numel()
        if self._next + count > _LARGEST:
            raise ValueError(
                f"A view of this batch has more than {_LARGEST} places; lower the batch size per GPU."
            )
        places = torch.arange(self._next, self._next + count, dtype=torch.float32, device=x.device)
        self._next += count
        places = places.view(shape)
        return places.permute(0, 3, 1, 2).contiguous() if x.dim() == 4 else places

    def image_of(self, index: Tensor) -> Tensor:
        """Image (row of the batch) of each place."""
        image = torch.zeros_like(index)
        for feature, first, count in self._spans():
            here = (index >= first) & (index < first + count)
            image = torch.where(here, (index - first) // (count // max(1, len(feature))), image)
        return image

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Features at places, with graph.

        Returns:
            ``features (n, kernel * kernel * C)`` and ``prior (n,)``.
        """
        order, features, priors = [], [], []
        for feature, first, count in self._spans():
            where = ((index >= first) & (index < first + count)).nonzero().flatten()
            local = index[where] - first
            order.append(where)
            priors.append(local % self.priors)
            features.append(_read(feature, local // self.priors, self.kernel))
        back = torch.cat(order).argsort()
        return torch.cat(features)[back], torch.cat(priors)[back]

    def clear(self) -> None:
        """Forget the maps of this step."""
        self.maps = []
        self._next = 0

    def _spans(self) -> list[tuple[Tensor, int, int]]:
        spans, first = [], 0
        for x in self.maps:
            count = x.numel() // max(1, x.shape[1]) * self.priors
            spans.append((x, first, count))
            first += count
        return spans


def _read(x: Tensor, cell: Tensor, kernel: int) -> Tensor:
    """Rows of ``x (N, C)``, or the ``kernel x kernel`` neighbourhoods in ``x (B, C, H, W)``, at cells."""
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


class Recorder(nn.Module):
    """Stands where ``loss_cls`` stood: keeps the places and ids of a step, returns no loss."""

    use_sigmoid = True

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Places] = []

    def forward(self, places: Tensor, labels: Tensor, weight: Tensor | None = None, **_: Any) -> Tensor:
        """Args as ``loss_cls``: ``places (n, 1)``, ``labels (n,)``, ``weight (n,)``; weight 0 is ignored."""
        index, ids = places.detach()[:, 0].long(), labels
        if weight is not None:
            counted = weight > 0
            index, ids = index[counted], ids[counted]
        self.calls.append(Places(index, ids))
        return places.new_zeros(())

    def drain(self) -> Places | None:
        """All calls of the step as one; None where the head never asked for a loss."""
        calls, self.calls = self.calls, []
        if not calls:
            return None
        return Places(torch.cat([c.index for c in calls]), torch.cat([c.ids for c in calls]))


def sample_slots(ids: Tensor, group: Tensor, num: int) -> Tensor:
    """Choose at most ``num`` slots of each group: positives first, at random, then random background.

    Args:
        ids: ``(n,)``, background negative.
        group: ``(n,)``, e.g. the image of each slot.
        num: slots per group.

    Returns:
        Indices of the chosen, ``(m,)``.
    """
    rank = torch.rand(len(ids), device=ids.device) + (ids >= 0)
    chosen = []
    for member in (group == g for g in group.unique()):
        where = member.nonzero().flatten()
        chosen.append(where[rank[where].topk(min(num, len(where))).indices])
    return torch.cat(chosen) if chosen else ids.new_zeros(0)
