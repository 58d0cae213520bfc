"""Slots are what the contrast sees of a detector, whatever the detector is.

A slot is one place where a detector speaks about one box: a sampled anchor, a point, an RoI, a query.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

#: Id of a slot that belongs to no instance: background. It is independent of embed_dim.
NO_INSTANCE = -1

#: Distance between the first ids of two neighbouring images of a batch, more than any image has proposals.
IMAGE_STRIDE = 1 << 20


@dataclass
class Slots:
    """Hold the embeddings of one view and the instance that each belongs to.

    Attributes:
        embeddings: ``(n, d)``, any scale; the contrast normalises them.
        ids: ``(n,)`` int64, equal for slots of the same instance in either view,
            :data:`NO_INSTANCE` for background.

    Raises:
        ValueError: the shapes do not fit.
    """

    embeddings: Tensor
    ids: Tensor

    def __post_init__(self) -> None:
        if self.embeddings.dim() != 2 or self.ids.shape != self.embeddings.shape[:1]:
            raise ValueError(
                "Slots: expected embeddings (n, d) and ids (n,), got "
                f"{tuple(self.embeddings.shape)} and {tuple(self.ids.shape)}"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def detach(self) -> Slots:
        """Return the same slots, cut from the graph."""
        return Slots(self.embeddings.detach(), self.ids)
