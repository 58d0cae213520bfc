"""What the steps of a user's pipelines do, found out by trying them on an image of one colour."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mmengine.config import ConfigDict
from mmengine.registry import TRANSFORMS

from aligndet.box_domain.recipe.lookup import name_of, names_of
from aligndet.common.config_text import raw

#: Grey value of the image that steps are tried on; padding of any other value is told from it.
GREY = 201
#: Size of the image on which steps are told apart, (height, width).
TRIAL = (89, 97)
IMAGE, LABELS, PACKING, CROP, OTHER = "image", "labels", "packing", "crop", "other"
_KINDS = (
    (LABELS, r"^(Load|Filter)\w*(Annotation|Proposal|Text|Label|Mask|Seg|Point|Box)"),
    (IMAGE, r"^Load|^InferencerLoader$"),
    (PACKING, r"^Pack|Collect$|Formatting$|FormatBundle$|ToTensor$"),
    (CROP, r"Crop"),
)

Size = tuple[int, int]


def kind_of(step: Mapping[str, Any]) -> str:
    """Tell what a step is there for, by its class and the bases of that.

    Returns:
        ``image`` for what reads pixels, ``labels``, ``packing``, ``crop``, or ``other``.
    """
    for name in names_of(step, TRANSFORMS):
        for kind, pattern in _KINDS:
            if re.search(pattern, name):
                return kind
    return OTHER


def steps_of(pipeline: Any) -> Iterator[Mapping[str, Any]]:
    """All steps of a pipeline; of those that hold steps, what they hold."""
    for step in pipeline if isinstance(pipeline, (list, tuple)) else ():
        if not isinstance(step, Mapping):
            yield from steps_of(step)
        elif isinstance(step.get("transforms"), (list, tuple)):
            yield from steps_of(step["transforms"])
        else:
            yield step


def pipeline_of(loader: Any) -> list[Mapping[str, Any]]:
    """Steps of a data loader's config, those of the innermost data set first.

    Args:
        loader: with data sets in any wrapper (repeated, mixed, balanced); of several the first.
    """
    loader = _first(loader)
    return _of_dataset(loader.get("dataset")) if isinstance(loader, Mapping) else []


def _of_dataset(dataset: Any) -> list[Mapping[str, Any]]:
    dataset = _first(dataset)
    if not isinstance(dataset, Mapping):
        return []
    inner = dataset.get("dataset") or dataset.get("datasets")
    return [*_of_dataset(inner), *steps_of(dataset.get("pipeline"))]


def _first(value: Any) -> Any:
    several = isinstance(value, Sequence) and not isinstance(value, str) and bool(value)
    return value[0] if several else value


@dataclass(frozen=True)
class Effect:
    """What a step makes of an image of one colour.

    Attributes:
        content: (height, width) of what was the image.
        whole: (height, width) with padding.
    """

    content: Size
    whole: Size


@dataclass
class Trial:
    """A step, tried on images.

    Args:
        step: of a config; what cannot be built or run has no effect.
    """

    step: Mapping[str, Any]
    _transform: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        try:
            self._transform = TRANSFORMS.build(ConfigDict(copy.deepcopy(raw(self.step))))
        except Exception:  # a user's class: whoever builds the pipeline will say what is wrong with it
            self._transform = None

    @property
    def name(self) -> str:
        """Of its class."""
        return name_of(self.step)

    def __call__(self, size: Size) -> Effect | None:
        """Run the step on an image; None where it cannot run on it.

        Args:
            size: (height, width), pixels.
        """
        if self._transform is None:
            return None
        image = np.full((*size, 3), GREY, dtype=np.uint8)
        results = {"img": image, "img_shape": size, "ori_shape": size, "height": size[0], "width": size[1]}
        try:
            image = self._transform({**results, "img_id": 0, "img_path": ""})["img"]
            whole = (int(image.shape[0]), int(image.shape[1]))
        except Exception:  # it needs what only real data have
            return None
        return Effect(_extent(image) or whole, whole)


def _extent(image: np.ndarray) -> Size | None:
    """Height and width of what still has the colour; None where nothing has."""
    same = image == GREY  # (h, w) or (h, w, c)
    same = same.all(axis=2) if same.ndim == 3 else same
    rows, columns = np.flatnonzero(same.any(axis=1)), np.flatnonzero(same.any(axis=0))
    if not len(rows):
        return None
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)
