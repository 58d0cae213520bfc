"""The size at which a user's config tests, as its own transforms make it, and views up to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from aligndet.box_domain.recipe.lookup import name_of
from aligndet.box_domain.recipe.steps import OTHER, Size, Trial, kind_of, pipeline_of

#: Images that resizing is tried on, (height, width): small to large squares, 2:1 and 8:1.
SQUARE, LARGE, WIDE, LONG = (2048, 2048), (3072, 3072), (1024, 2048), (512, 4096)
#: Where a transform names its size.
SCALES = ("scale", "scales", "img_scale", "img_scales")


@dataclass(frozen=True)
class Tested:
    """The size of a test.

    Attributes:
        long, short: sides in pixels that no image exceeds; of one fixed size its width and height.
        keeps_ratio: of width to height.
        padding: the step that pads, if there is one.
    """

    long: int
    short: int
    keeps_ratio: bool
    padding: dict[str, Any] | None = None


def tested_size(stock: Config, channels: int) -> Tested | None:
    """Find the size at which a config tests, else validates, else trains; None where images keep theirs.

    The config's own transforms are run on images of several sizes and shapes: what counts is what they do,
    not what they are called. Only where they cannot run, or draw at random, what they say counts.

    Args:
        stock: the user's config.
        channels: of its images.
    """
    for part in ("test", "val"):
        if pipeline := pipeline_of(stock.get(f"{part}_dataloader")):
            steps = [step for step in pipeline if kind_of(step) == OTHER]
            return _tried([Trial(step, channels) for step in steps]) or _said(steps)
    return _said([step for step in pipeline_of(stock.get("train_dataloader")) if kind_of(step) == OTHER])


def _tried(trials: list[Trial]) -> Tested | None:
    """The size that steps give to images; None where it is not bounded, or they cannot run."""
    if any("scales" in trial.step for trial in trials):
        return None  # drawn at random: what it says counts
    square, large, wide, long = (_through(trials, size) for size in (SQUARE, LARGE, WIDE, LONG))
    if square[0] != large[0]:
        return None  # it follows the image
    wholes = [square[1], wide[1], long[1]]
    padding = _padding(trials, wholes) if any(c != w for c, w in (square, wide, long)) else None
    height, width = wide[0]
    if square[0] == wide[0] == long[0]:
        return Tested(width, height, keeps_ratio=False, padding=padding)
    if abs(width / height - WIDE[1] / WIDE[0]) > 0.1:
        return None
    short = min(square[0])
    return Tested(max(short, *long[0]), short, keeps_ratio=True, padding=padding)


def _through(trials: list[Trial], size: Size) -> tuple[Size, Size]:
    """(height, width) of an image behind all steps, without and with padding."""
    whole = size
    for trial in trials:
        effect = trial(size)
        if effect is not None:
            size, whole = effect.content, effect.whole
    return size, whole


def _padding(trials: list[Trial], wholes: list[Size]) -> dict[str, Any]:
    """A step that pads as these do: to one size, or to a multiple of a number of pixels."""
    values = [trial.step["pad_val"] for trial in trials if "pad_val" in trial.step]
    value = {"pad_val": values[-1]} if values else {}
    if len(set(wholes)) == 1:
        return {"type": "mmdet.Pad", "size": (wholes[0][1], wholes[0][0]), **value}
    return {
        "type": "mmdet.Pad",
        "size_divisor": math.gcd(*(side for size in wholes for side in size)),
        **value,
    }


def _said(steps: Sequence[Mapping[str, Any]]) -> Tested | None:
    """The largest size that a resize of a pipeline names."""
    for step in steps:
        if "Resize" not in name_of(step) and "Scale" not in name_of(step):
            continue
        scales = [scale for key in SCALES for scale in _pairs(step.get(key))]
        if scales:
            first, second = max(scales, key=lambda scale: scale[0] * scale[1])
            stock = name_of(step) in ("Resize", "RandomResize", "RandomChoiceResize")
            if step.get("keep_ratio", not stock):
                return Tested(max(first, second), min(first, second), keeps_ratio=True)
            return Tested(first, second, keeps_ratio=False)
    return None


def _pairs(scale: Any) -> list[tuple[int, int]]:
    """(width, height) pairs of a ``scale`` or of a list of them."""
    if isinstance(scale, int) and not isinstance(scale, bool):
        return [(scale, scale)]
    if not isinstance(scale, (tuple, list)):
        return []
    if len(scale) == 2 and all(isinstance(side, int) for side in scale):
        return [(scale[0], scale[1])] if min(scale) > 0 else []
    return [pair for inner in scale if isinstance(inner, (tuple, list)) for pair in _pairs(inner)]


def resize(tested: Tested, scales: list[tuple[int, int]]) -> dict[str, Any]:
    """A random size up to the one that is tested at, in the steps of the recipe's short sides.

    Args:
        tested: the size of a test.
        scales: (long, short) sides of the recipe's views, in pixels.
    """
    long, short = tested.long, tested.short
    if not tested.keeps_ratio:
        return {"type": "mmdet.Resize", "scale": (long, short), "keep_ratio": False}
    largest = max(min(scale) for scale in scales)
    sides = [min(scale) / largest for scale in scales]
    square = long == short
    chosen = [(round(long * side) if square else long, round(short * side)) for side in sides]
    return {"type": "RandomChoiceResize", "scales": chosen, "keep_ratio": True, "resize_type": "mmdet.Resize"}
