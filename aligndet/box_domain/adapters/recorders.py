"""Recorders keep what goes into and comes out of methods of a detector, whose parts stay where they are.

A recorder shadows a method of one object. So an assigner may be a module with buffers: it keeps its place and
its name in the checkpoint, and a copied detector has recorders of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from mmdet.structures.bbox import get_box_tensor
from torch import Tensor, nn

from aligndet.box_domain.adapters.matches import Match, no_hints
from aligndet.common.errors import InputError


class CallRecorder:
    """Stands where a method stood, and keeps what goes in (in the order of parameters) and what comes out.

    Args:
        method: bound, of a head.
        calls: where pairs ``(args, result)`` are kept.
    """

    def __init__(self, method: Any, calls: list[tuple[tuple, Any]]) -> None:
        self.method, self.calls = method, calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self.method(*args, **kwargs)
        self.calls.append((tuple(named(self.method, args, kwargs).values()), result))
        return result


class MatchRecorder:
    """Keeps what an assigner answers, by whichever of its methods it is asked.

    Args:
        assigner: mmdet's or another's, changed in place.
        calls: where answers are kept, maybe those of several recorders.
        head: class of the head, for messages.
    """

    #: Methods by which assigners are asked. One may call the other: then the outer one counts.
    ENTRIES = ("assign", "forward")

    def __init__(self, assigner: Any, calls: list[Match], head: str) -> None:
        self.calls, self.inside = calls, False
        self.title = f"{head} asks {type(assigner).__name__}"
        for entry in self.ENTRIES:
            if callable(getattr(assigner, entry, None)):
                setattr(assigner, entry, _Entry(self, getattr(assigner, entry)))

    def ask(self, method: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
        """Call the assigner and keep its answer, one for each image where it is asked about several."""
        if self.inside:
            return method(*args, **kwargs)
        self.inside = True
        try:
            result = method(*args, **kwargs)
        finally:
            self.inside = False
        given = named(method, args, kwargs)
        if hasattr(result, "gt_inds"):
            self.calls.append(self._of_image(given, result))
        elif isinstance(result, Mapping) and "assigned_bboxes" in result:
            self.calls += _of_batch(given, result)
        else:
            raise InputError(
                f"model.detector: {self.title}, which answers with a {type(result).__name__} and not with an "
                "AssignResult, so it is unknown which instance it gave to which prediction. This head needs "
                "an adapter of its own: docs/adapters.md."
            )
        return result

    def _of_image(self, given: dict[str, Any], result: Any) -> Match:
        targets = _targets(given)
        if targets is None:
            raise InputError(
                f"model.detector: {self.title} with ({', '.join(given)}), and none of these is known to hold "
                "the boxes of the targets. This head needs an adapter of its own: docs/adapters.md."
            )
        boxes = _boxes(getattr(targets, "bboxes", targets))
        hints = getattr(targets, "instance_ids", no_hints(boxes))
        shown = given.get("pred_instances", next(iter(given.values())))
        scores, priors = (getattr(shown, key, given.get(key)) for key in ("scores", "priors"))
        overlaps = getattr(result, "max_overlaps", None)
        return Match(result.gt_inds, boxes, hints, overlaps, scores, _boxes(priors))


class _Entry:
    """Shadows one method of an assigner."""

    def __init__(self, recorder: MatchRecorder, method: Callable[..., Any]) -> None:
        self.recorder, self.method = recorder, method

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.recorder.ask(self.method, args, kwargs)


def named(method: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Name the arguments of a call, in the order of the method's parameters."""
    bound = inspect.signature(method).bind(*args, **kwargs)
    given: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            given.update({f"{name}[{number}]": item for number, item in enumerate(value)})
        else:
            given.update(value if kind is inspect.Parameter.VAR_KEYWORD else {name: value})
    return given


def assigners(parts: Any) -> Iterator[Any]:
    """Yield each assigner of an attribute, which may hold one, or many in lists and mappings."""
    if isinstance(parts, (list, tuple, nn.ModuleList)):
        for part in parts:
            yield from assigners(part)
    elif isinstance(parts, (dict, nn.ModuleDict)):
        yield from assigners(list(parts.values()))
    elif parts is not None:
        yield parts


def record_assigners(parts: Any, calls: list[Match], head: str) -> None:
    """Put a recorder into each assigner of ``parts``, into one that is there twice only once."""
    for assigner in {id(assigner): assigner for assigner in assigners(parts)}.values():
        MatchRecorder(assigner, calls, head)


def _targets(given: dict[str, Any]) -> Any:
    """Find the targets among the arguments of an assigner, by name or by what they are."""
    for name in ("gt_instances", "gt_bboxes"):
        if given.get(name) is not None:
            return given[name]
    described = (value for value in given.values() if hasattr(value, "bboxes") and hasattr(value, "labels"))
    return next((value for value in described if not hasattr(value, "scores")), None)


def _of_batch(given: dict[str, Any], result: Mapping[str, Tensor]) -> list[Match]:
    """Read the answer of an assigner that is asked about a batch, as mmyolo's are.

    Args:
        given: what it was asked, with ``priors (n, 2 or 4)`` or without.
        result: ``assigned_bboxes (B, n, 4)``, and ``fg_mask_pre_prior (B, n)``, or boxes that are all zero
            for background.
    """
    boxes = result["assigned_bboxes"]
    foreground = result.get("fg_mask_pre_prior", boxes.abs().sum(-1) > 0).bool()  # (B, n)
    matches = []
    for mine, taken in zip(boxes, foreground, strict=True):  # (n, 4), (n,)
        targets = torch.where(taken, taken.cumsum(0), 0)  # (n,) counted from 1
        kept = mine[taken].clone()  # heads go on to write into what they were answered
        matches.append(Match(targets, kept, no_hints(kept), priors=_boxes(given.get("priors"))))
    return matches


def _boxes(boxes: Any) -> Any:
    return None if boxes is None else get_box_tensor(boxes)
