"""The projector maps what a detector's classifier reads to an embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class Projector(nn.Module):
    """Applies two layers with a ReLU between (MoCo v2, arXiv 2003.04297) to slots only.

    The published projectors are convolutions over whole feature maps. Here features are gathered at the
    sampled slots first and the same layers act as linear ones, which gives equal numbers at a fraction
    of the cost: a RetinaNet view at 800x1333 px has 200,000 anchors and 2,048 slots.

    Args:
        in_features: width of one slot's input, ``9 * channels`` where a 3x3 neighbourhood is read.
        embed_dim: width of the embedding.
        hidden: width of the hidden layer.
        priors: each prior of a location (anchor shape) has a last layer of its own.
    """

    def __init__(self, in_features: int, embed_dim: int, hidden: int, priors: int = 1) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.hidden = nn.Linear(in_features, hidden)
        self.out = nn.Linear(hidden, priors * embed_dim)

    def forward(self, features: Tensor, prior: Tensor | None = None) -> Tensor:
        """Embed slots.

        Args:
            features: ``(..., in_features)``.
            prior: ``(n,)`` which prior each of n slots is, or None where a location has one.

        Returns:
            ``(..., embed_dim)``.
        """
        hidden = self.hidden(features).relu()  # (n, in_features) -> (n, hidden)
        if prior is None:
            return self.out(hidden)
        weights = self.out.weight.split(self.embed_dim)  # (priors * d, hidden) -> priors of (d, hidden)
        biases = self.out.bias.split(self.embed_dim)
        order = prior.argsort()
        counts = prior.bincount(minlength=len(weights)).tolist()
        groups = zip(hidden[order].split(counts), weights, biases, strict=True)
        return torch.cat([linear(*group) for group in groups])[order.argsort()]  # (n, d), as features are
