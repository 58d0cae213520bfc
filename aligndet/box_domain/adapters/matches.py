"""A match is what an assigner answered for one image, from which instances are read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from aligndet.box_domain.adapters.roster import LEFT_OUT, UNKNOWN, Roster, followed
from aligndet.box_domain.slots import NO_INSTANCE
from aligndet.common.errors import InputError


@dataclass
class Match:
    """Keeps one answer of an assigner, for one image with n predictions.

    Attributes:
        targets: ``(n,)`` target of each prediction, counted from 1; 0 is background, negative ignored.
        boxes: ``(G, 4)`` the targets, as the head made them.
        hints: ``(G,)`` ids that a field or an index says, ``UNKNOWN`` where nothing does.
        overlaps: ``(n,)`` IoU with the target, or None where the assigner gives none.
        scores: ``(n, classes)`` of the predictions, or None where the assigner was shown none.
        priors: ``(n, 2)`` or ``(n, 4)`` where the assigner was shown them, else None.
    """

    targets: Tensor
    boxes: Tensor
    hints: Tensor
    overlaps: Tensor | None = None
    scores: Tensor | None = None
    priors: Tensor | None = None


def no_hints(boxes: Tensor) -> Tensor:
    """Return hints ``(G,)`` that say nothing about ``boxes (G, 4)``."""
    return torch.full((len(boxes),), UNKNOWN, dtype=torch.long, device=boxes.device)


def ids_of(
    matches: list[Match], images: list[Tensor], roster: Roster, names: tuple[str, str]
) -> list[Tensor]:
    """Read from all matches of a step which instance each prediction belongs to.

    Args:
        matches: one for each time that an image was matched.
        images: for each match ``(n,)``, the row of the batch that its predictions belong to.
        roster: of the view.
        names: classes of head and adapter, for messages.

    Returns:
        ``(n,)`` ids for each match, ``NO_INSTANCE`` for background, ``LEFT_OUT`` for what is ignored or
        cannot be told.

    Raises:
        InputError: no target is an instance.
    """
    if not matches:
        return []
    counts = [len(match.targets) for match in matches]
    firsts = accumulate((len(match.boxes) for match in matches), initial=0)
    numbered = [m.targets + first * (m.targets > 0) for m, first in zip(matches, firsts, strict=False)]
    device = roster.ids.device  # some assigners answer on the CPU
    targets = torch.cat(numbered).to(device)  # (n of all matches,), counted through the targets of all
    matched = (targets > 0).nonzero()[:, 0]  # (p,) of all predictions
    rows = targets[matched] - 1  # (p,) of all targets
    boxes, hints = (torch.cat([getattr(m, part) for m in matches]).to(device) for part in ("boxes", "hints"))
    total = max(1, len(boxes))
    pairs = torch.cat(images).to(device)[matched] * total + rows  # (p,) image and target as one number
    once, which = pairs.unique(return_inverse=True)  # (u,), (p,): many predictions have one target
    found = roster.identify(once // total, boxes[once % total], hints[once % total])[which]  # (p,)
    ids = torch.where(targets < 0, LEFT_OUT, NO_INSTANCE)
    ids[matched] = followed(found, *names)
    return list(ids.split(counts))


def best_or(threshold: float, ids: Tensor, overlaps: Tensor) -> Tensor:
    """Say which predictions overlap their proposal enough, or as much as any other of its predictions.

    Args:
        threshold: IoU that is enough.
        ids: ``(n,)``.
        overlaps: ``(n,)`` IoU of each with its proposal.

    Returns:
        ``(n,)`` bool, False where the id is negative.
    """
    unique, which = ids.clamp(min=NO_INSTANCE).unique(return_inverse=True)  # (u,), (n,)
    best = overlaps.new_zeros(len(unique)).scatter_reduce(0, which, overlaps, "amax")  # (n,) -> (u,)
    return (ids >= 0) & (overlaps >= best.clamp(max=threshold)[which])


def check_clusters(samples: list[Any], num_clusters: int) -> None:
    """Raise where a proposal's cluster is not among those the detector was built for.

    Raises:
        InputError: naming the cluster and the config key.
    """
    for sample in samples:
        labels = sample.gt_instances.labels
        if len(labels) and int(labels.max()) >= num_clusters:
            raise InputError(
                f"A proposal has cluster {int(labels.max())}, but model.num_clusters is {num_clusters}. "
                "Set it to the number of categories of the proposal file."
            )
