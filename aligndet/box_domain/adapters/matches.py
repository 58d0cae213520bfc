"""Recorders read from the assigner of a detector which instance it gave each prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from aligndet.box_domain.slots import NO_INSTANCE
from aligndet.common.errors import InputError

#: Id of a prediction that the assigner left out: neither an instance's nor background.
LEFT_OUT = -2


@dataclass
class Match:
    """Keeps one call of an assigner, for one image with n predictions.

    Attributes:
        ids: ``(n,)`` instance ids, ``NO_INSTANCE`` for background, :data:`LEFT_OUT` for what is ignored.
        overlaps: ``(n,)`` IoU with the matched proposal, or None where the assigner gives none.
        predictions: what the assigner was given (priors, boxes, scores).
    """

    ids: Tensor
    overlaps: Tensor | None
    predictions: Any


class MatchRecorder:
    """Stands where an assigner stood, and keeps what it answers.

    Args:
        assigner: mmdet's.
        calls: where answers are kept, maybe those of several recorders.
    """

    def __init__(self, assigner: Any, calls: list[Match]) -> None:
        self.assigner = assigner
        self.calls = calls

    def assign(self, *args: Any, **kwargs: Any) -> Any:
        """Assign as the assigner does.

        Assigners differ in their arguments, but predictions come first and only proposals have ids.
        """
        result = self.assigner.assign(*args, **kwargs)
        given = [*args, *kwargs.values()]
        (proposal_ids,) = (value.instance_ids for value in given if hasattr(value, "instance_ids"))
        ids = instance_ids(result.gt_inds, proposal_ids)
        self.calls.append(Match(ids, result.max_overlaps, kwargs.get("pred_instances", given[0])))
        return result


class CallRecorder:
    """Stands where a method stood, and keeps what goes in (``args``) and what comes out.

    Args:
        method: bound, of a head.
        calls: where pairs ``(args, result)`` are kept.
    """

    def __init__(self, method: Any, calls: list[tuple[tuple, Any]]) -> None:
        self.method, self.calls = method, calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self.method(*args, **kwargs)
        self.calls.append((args, result))
        return result


def instance_ids(gt_inds: Tensor, proposal_ids: Tensor) -> Tensor:
    """Turn an assignment of mmdet into ids.

    Args:
        gt_inds: ``(n,)`` proposal of each prediction, counted from 1; 0 is background, negative ignored.
        proposal_ids: ``(G,)``.

    Returns:
        ``(n,)``, with :data:`LEFT_OUT` where ignored.
    """
    ids = torch.where(gt_inds < 0, LEFT_OUT, NO_INSTANCE)
    matched = gt_inds > 0
    ids[matched] = proposal_ids[gt_inds[matched] - 1]
    return ids


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
