"""Features, ids and instances of a step are held against each other: wrong ids would stop nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from aligndet.box_domain.adapters.features import Features, Places
from aligndet.box_domain.adapters.roster import Roster

#: Priors that are looked at, evenly spread, to say whether all are in order.
_LOOKED_AT = 4096


def disagreement(places: Places, features: Features, roster: Roster) -> str | None:
    """Say what an adapter's places contradict, or None.

    A place must be one of the features', must not belong to two instances, and an instance must be one of the
    image that the feature was read from, where that is known.

    Args:
        places: of the step, before some are drawn from them.
        features: what the classifiers read.
        roster: the instances of the view.
    """
    index, ids = places.index, places.ids  # (p,), (p,)
    if not len(index):
        return None
    outside = (index < 0) | (index >= features.count)
    here = index.clamp(0, max(0, features.count - 1))
    owner = ids.new_zeros(max(1, features.count)).scatter(0, here, ids)
    taken = (ids >= 0).nonzero()[:, 0]  # (m,)
    image, seen_in = roster.images_of(ids[taken]), features.image_of(here[taken])  # (m,) each
    strange = image < 0
    astray = ~strange & (seen_in >= 0) & (image != seen_in % roster.images)  # a head may repeat the batch
    problems = {
        "has places that its classifier did not read": outside,
        "gave one prediction to two instances, or to one and to background": owner[here] != ids,
        "gave predictions labels that are no instances": strange,
        "gave predictions of one image to instances of another": astray,
    }
    found = torch.stack([wrong.any() for wrong in problems.values()]).tolist()
    return next((problem for problem, wrong in zip(problems, found, strict=True) if wrong), None)


def lie_in_order(priors: Tensor, places: Tensor, features: Features, size: tuple[int, int]) -> bool:
    """Say whether priors lie where the features of their places were read.

    Heads give priors as boxes, as centres, or as centres with strides, and may have moved some by what they
    predict, so most of them decide.

    Args:
        priors: ``(n, 2)`` or ``(n, 4)`` in pixels, as a head shows them to its assigner.
        places: ``(n,)`` of maps.
        features: what the classifiers read.
        size: height and width of the batch in pixels.
    """
    if not len(places):
        return True
    step = max(1, len(places) // _LOOKED_AT)
    priors, places = priors[::step], places[::step]
    centre, side = features.cells(places)  # (n, 2) each
    pixels = centre.new_tensor(size[::-1])  # x before y
    centre, reach = centre * pixels, 2 * side * pixels
    points = [priors[:, :2], (priors[:, :2] + priors[:, -2:]) / 2]  # (n, 2) each
    return any(bool(((p - centre).abs() <= reach).all(1).float().mean() >= 0.5) for p in points)
