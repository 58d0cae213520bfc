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

from aligndet.box_domain.recipe.lookup import class_of, names_of
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
        elif inner := _held(step):
            yield from inner
        else:
            yield step


def _held(step: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The steps that a step holds; none where what it holds is another library's (Albumentations)."""
    inner = list(steps_of(step.get("transforms")))
    return inner if all(class_of(one, TRANSFORMS) for one in inner) else []


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
        channels: of the images that it is made for.
    """

    step: Mapping[str, Any]
    channels: int = 3
    _transform: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        try:
            self._transform = TRANSFORMS.build(ConfigDict(copy.deepcopy(raw(self.step))))
        except Exception:  # a user's class: whoever builds the pipeline will say what is wrong with it
            self._transform = None

    def __call__(self, size: Size) -> Effect | None:
        """Run the step on an image; None where it cannot run on it.

        Args:
            size: (height, width), pixels.
        """
        image = self._made_of(np.full((*size, self.channels), GREY, dtype=np.uint8))
        if image is None:
            return None
        whole = (int(image.shape[0]), int(image.shape[1]))
        return Effect(_extent(image) or whole, whole)

    def keeps_places(self, size: Size = TRIAL, times: int = 5) -> bool:
        """Whether every pixel stays where it is, so that boxes do, too; tried several times, if it draws."""
        image = np.full((*size, self.channels), GREY, dtype=np.uint8)
        image[4:12, 6:20] = GREY // 2
        made = [self._made_of(image.copy()) for _ in range(times)]
        return all(one is not None and one.shape[:2] == size and _in_place(image, one) for one in made)

    def _made_of(self, image: np.ndarray) -> np.ndarray | None:
        """The image that the step makes of an image (H, W, C); None where it cannot run on it."""
        size = (image.shape[0], image.shape[1])
        pixels = image[..., 0] if image.shape[2] == 1 else image
        results: dict[str, Any] = {"img": pixels, "img_id": 0, "img_path": ""}
        results.update(img_shape=size, ori_shape=size, height=size[0], width=size[1])
        if self._transform is None:
            return None
        try:
            return np.asarray(self._transform(results)["img"])
        except Exception:  # it needs what only real data have
            return None


def _in_place(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether a spot is where it was, and not where a flip puts it, in a channel at least."""
    spot = before[..., 0] != before[-1, -1, 0]  # (h, w)
    for channel in np.moveaxis(np.atleast_3d(after), 2, 0):  # (h, w) of (h, w, c)
        seen = channel != channel[-1, -1]
        elsewhere = [seen[np.flip(spot, axes)].mean() for axes in (0, 1, (0, 1))]
        if seen[spot].mean() > 0.9 and max(elsewhere) < 0.5:
            return True
    return False


def _extent(image: np.ndarray) -> Size | None:
    """Height and width of what still has the colour; None where nothing has."""
    same = image == GREY  # (h, w) or (h, w, c)
    same = same.all(axis=2) if same.ndim == 3 else same
    rows, columns = np.flatnonzero(same.any(axis=1)), np.flatnonzero(same.any(axis=0))
    if not len(rows):
        return None
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)
