"""Another image takes the place of a bad one in a data set of mmengine."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aligndet.common.images.bad import INSTEAD, TooManyBadError
from aligndet.common.images.reading import UnreadableImageError, read_image, refuse_too_large
from aligndet.common.notices import warn

#: What raises these is a fault of the program or the machine, whatever the image.
NO_IMAGE_S_FAULT = (MemoryError, ImportError, NameError)
#: Bad images in a row from which on no good one is expected; mmengine itself gives up at 1000.
IN_A_ROW = 500
BLACK = "it is tested as a black one"


class CheckedLoader:
    """The step of a pipeline that reads the image, and says so where that is bad.

    Args:
        step: reads ``img_path``.

    Raises:
        UnreadableImageError: with the reason.
    """

    def __init__(self, step: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        self.step = step

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read the image."""
        path = results.get("img_path")
        local = Path(path) if isinstance(path, str) and "://" not in path else None
        size = results.get("width"), results.get("height")
        try:
            if local:
                refuse_too_large(local)
            loaded = self.step(results)
        except UnreadableImageError:
            raise
        except NO_IMAGE_S_FAULT:
            raise
        except Exception as error:
            raise UnreadableImageError(_reason(local, error)) from error
        if loaded is None:
            raise UnreadableImageError("its loader gives nothing")
        if isinstance(loaded, dict):
            _refuse_other_size(loaded.get("ori_shape"), *size)
        return loaded

    @property
    def gives_bytes(self) -> bool:
        """Whether it is known to give (H, W, 3) uint8."""
        plain = type(self.step).__name__ == "LoadImageFromFile"
        floats, colour = getattr(self.step, "to_float32", True), getattr(self.step, "color_type", "")
        return plain and not floats and colour == "color"

    def __repr__(self) -> str:
        return repr(self.step)


def _reason(path: Path | None, error: Exception) -> str:
    """Why an image cannot be read, best in our own words."""
    if path is not None:
        if not path.exists():
            return "no such file"
        try:
            read_image(path)
        except UnreadableImageError as ours:
            return str(ours)
    first = next(iter(str(error).strip().splitlines()), "")
    return f"cannot be read ({type(error).__name__}: {first})"


def _refuse_other_size(shape: Any, width: Any, height: Any) -> None:
    """Refuse an image of another size than recorded; of several images (videos), nobody recorded one size."""
    known = all(isinstance(side, (int, np.integer)) and side > 0 for side in (width, height))
    if known and isinstance(shape, tuple) and tuple(shape[:2]) != (height, width):
        raise UnreadableImageError(f"is {shape[1]}x{shape[0]} px, but {width}x{height} are recorded")


def checked(pipeline: Any) -> Any:
    """Let the first step of a pipeline, which reads the image, tell a bad one; changes it in place."""
    steps = getattr(pipeline, "transforms", None)
    if steps and not isinstance(steps[0], CheckedLoader):
        steps[0] = CheckedLoader(steps[0])
    return pipeline


class Replaced:
    """What a data set knows of its bad images.

    Which image takes the place of one depends on the state of the generators when it is asked for, and not on
    what was met before.

    Args:
        by_pipeline: the first step of the data set's pipeline reads its images; else its ``read(idx)``.
    """

    def __init__(self, by_pipeline: bool = True) -> None:
        self.by_pipeline = by_pipeline
        self._marks: torch.Tensor | None = None
        self._told_here, self._in_a_row = True, 0

    def marks(self, dataset: Any) -> torch.Tensor:
        """Which of its images are known to be bad, (n,) bool."""
        if self._marks is None or len(self._marks) != len(dataset):
            self._marks = torch.zeros(len(dataset), dtype=torch.bool)
        return self._marks

    def share(self, dataset: Any) -> None:
        """Let worker processes that are started from now on mark what this process reads, without a word."""
        self.marks(dataset).share_memory_()
        self._told_here = False

    def forget(self) -> None:
        """Begin anew: the data set has other images."""
        self._marks = None

    def prepared(self, dataset: Any, idx: int, prepare: Callable[[int], Any]) -> Any:
        """What ``prepare`` gives; None, for which mmengine draws another image, where this one is bad.

        In a test, where no other can stand for it, the image is black.

        Args:
            dataset: of mmengine, whose ``prepare_data`` this is. idx: of the image.
            prepare: puts it through the pipeline.

        Raises:
            TooManyBadError: every image is bad, or so many were in a row that no good one will be found.
            UnreadableImageError: in a test, where nobody knows the size of the image.
        """
        if not isinstance(idx, (int, np.integer)):  # of a video and its frame
            return prepare(idx)
        if self.by_pipeline:
            checked(dataset.pipeline)
        if dataset.test_mode:
            return self._tested(dataset, idx, prepare)
        before = random.getstate(), np.random.get_state(), torch.get_rng_state()
        if not self.marks(dataset)[idx]:
            try:
                prepared = prepare(idx)
            except UnreadableImageError as error:
                random.setstate(before[0])
                np.random.set_state(before[1])
                torch.set_rng_state(before[2])
                self.mark(dataset, idx, error)
            else:
                self._in_a_row = 0
                return prepared
        self._in_a_row += 1
        if self._in_a_row >= IN_A_ROW or bool(self.marks(dataset).all()):
            raise TooManyBadError(f"no image can be used in place of {name_of(dataset, idx)}")
        return None

    def _tested(self, dataset: Any, idx: int, prepare: Callable[[int], Any]) -> Any:
        try:
            return prepare(idx)
        except UnreadableImageError as error:
            info = dataset.get_data_info(idx)
            steps = dataset.pipeline.transforms
            shape = (info.get("height") or 0, info.get("width") or 0)
            if min(shape) <= 0 or not getattr(steps[0], "gives_bytes", False):
                raise
            self.mark(dataset, idx, error, BLACK)
            info.update(img=np.zeros((*shape, 3), np.uint8), img_shape=shape, ori_shape=shape)
            for step in steps[1:]:
                info = step(info)
            return info

    def mark(self, dataset: Any, idx: int, error: Exception, instead: str = INSTEAD) -> None:
        """Note that an image is bad."""
        marks = self.marks(dataset)
        marks[idx] = True
        if self._told_here:
            warn(f"{name_of(dataset, idx)}: {error}; {instead} ({int(marks.sum())} so far)")

    def reason(self, dataset: Any, idx: int) -> str:
        """Why an image is bad: it is read again."""
        try:
            if self.by_pipeline:
                checked(dataset.pipeline).transforms[0](dataset.get_data_info(idx))
            else:
                dataset.read(idx)
        except UnreadableImageError as error:
            return str(error)
        return "could not be read"


def name_of(dataset: Any, idx: int) -> str:
    """The path of an image of a data set."""
    info = dataset.get_data_info(idx)
    return str(info.get("img_path") or info.get("img_id", idx))
