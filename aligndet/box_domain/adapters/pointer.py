"""Pointer and recorder let a detector's code carry places to where its assigner left the ids.

Every mmdet head reshapes its classifier's output, assigns labels, and hands both to ``loss_cls``. So

- the classifier becomes a :class:`Pointer`: instead of scores it emits, for each prior, *where it is*;
- proposals' labels are their instance ids, and the head's background label is :data:`BACKGROUND`;
- ``loss_cls`` becomes a :class:`Recorder`: it receives places and ids, aligned by the head itself.

Features are then gathered at the few places that were sampled. No head is sub-classed, nothing is
embedded that the loss does not read.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from aligndet.box_domain.adapters.features import Features, Places
from aligndet.common.errors import InputError

#: Background label of a head in pre-training, above every instance id.
BACKGROUND = 1 << 40

#: Places are carried in float32, which is exact for integers up to this one.
_LARGEST = 1 << 24


class Pointer(nn.Module):
    """Stands where a classification layer stood.

    Args:
        features: where inputs are kept.
        classifier: number of the layer it stands for.
        priors: predictions per location of a map (anchors), 1 for points.
    """

    def __init__(self, features: Features, classifier: int = 0, priors: int = 1) -> None:
        super().__init__()
        self.features, self.classifier, self.priors = features, classifier, priors

    def forward(self, x: Tensor, *_: Any) -> Tensor:
        """Keep ``x`` and return the place of every prediction on it.

        Args:
            x: ``(B, C, H, W)`` map, or ``(N, C)`` rows.

        Returns:
            ``(B, priors, H, W)`` or ``(N, 1)`` float32: what a classifier with one class would have.

        Raises:
            InputError: there are more places than float32 holds integers.
        """
        first = self.features.add(x, self.classifier, self.priors)
        shape = (x.shape[0], *x.shape[2:], self.priors)  # (B, H, W, priors) or (N, priors)
        last = first + torch.Size(shape).numel()
        if last > _LARGEST:
            raise InputError(
                f"A view of this batch has more than {_LARGEST} places; lower the batch size per GPU."
            )
        places = torch.arange(first, last, dtype=torch.float32, device=x.device).view(shape)
        return places.permute(0, 3, 1, 2).contiguous() if x.dim() == 4 else places


class Recorder(nn.Module):
    """Stands where ``loss_cls`` stood, keeps the places and ids of a step, and returns no loss.

    Attributes:
        problem: what the head hands over instead of places and labels, or None.
    """

    use_sigmoid = True

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Tensor, Tensor]] = []
        self.problem: str | None = None

    def forward(self, places: Tensor, labels: Tensor, weight: Tensor | None = None, **_: Any) -> Tensor:
        """Keep places and ids that count.

        Args:
            places: ``(n, 1)``, what the pointer gave.
            labels: ``(n,)`` ids.
            weight: ``(n,)``, 0 where a prediction is ignored.

        Returns:
            Zero.
        """
        if places.dim() != 2 or places.shape[1] != 1 or getattr(labels, "shape", ()) != places.shape[:1]:
            self.problem = "hands its loss_cls something else than scores (n, classes) and labels (n,)"
        else:
            carried, ids = places.detach()[:, 0], labels
            if weight is not None:
                counted = weight > 0
                carried, ids = carried[counted], ids[counted]
            self.calls.append((carried, ids))
        return places.new_zeros(())

    def drain(self) -> Places | None:
        """Forget all calls and return them as one, or None where the head never asked for a loss.

        A place that is no integer is given as -1: the head computed something from scores before.
        """
        calls, self.calls, self.problem = self.calls, [], None
        if not calls:
            return None
        carried, ids = (torch.cat(parts) for parts in zip(*calls, strict=True))
        index = carried.long()
        return Places(torch.where(index == carried, index, -1), ids)
