"""How a user's config reads images: its own loader, and what it finds in a first image."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.registry import TRANSFORMS

from aligndet.box_domain.recipe.lookup import name_of, names_of, of_library
from aligndet.box_domain.recipe.steps import IMAGE, OTHER, TRIAL, Trial, kind_of, pipeline_of
from aligndet.box_domain.recipe.table import Table
from aligndet.common.config_text import raw
from aligndet.common.errors import InputError

Step = dict[str, Any]


@dataclass(frozen=True)
class Loading:
    """Steps that make the array that the model reads.

    Attributes:
        before: those before any change of size; the first of them reads the file.
        after: those behind it.
        pixels: that come out.
    """

    before: list[Step]
    after: list[Step]
    pixels: Pixels


@dataclass(frozen=True)
class Pixels:
    """What a loader gives.

    Attributes:
        channels: of an image.
        bytes: its values are bytes. floats_of_bytes: they are the floats 0.0, 1.0, ... 255.0.
    """

    channels: int = 3
    bytes: bool = True
    floats_of_bytes: bool = False


def loading(stock: Config, default: Step, paths: Sequence[str], table: Table) -> Loading:
    """Find how a config reads images: its loaders, and the steps that training and test share.

    A step of both pipelines that leaves an image's size alone makes pixels what the model reads (a conversion
    or a channel more); what only training has is augmentation, which is the recipe's.

    Args:
        stock: the user's config.
        default: reads images where the config reads none.
        paths: of some images; they may be missing.
        table: is told.

    Raises:
        InputError: the config's loader can read none of the images.
    """
    train = pipeline_of(stock.get("train_dataloader"))
    test = pipeline_of(stock.get("test_dataloader")) or pipeline_of(stock.get("val_dataloader"))
    loaders = loaders_of(train or test)
    before = [_from_file(step, table) for step in loaders] or [default]
    after: list[Step] = []
    channels = (_look_at_one(before, paths) or guessed(before, stock.model)).channels
    resized, kept = False, {id(step) for step in loaders}
    for step in test:
        if kind_of(step) != OTHER:
            continue
        trial = Trial(step, channels)
        effect = trial(TRIAL)
        resized = resized or (effect is not None and effect.whole != TRIAL)
        if step in train and trial.keeps_places():
            (after if resized else before).append(raw(step))
            kept |= {id(own) for own in train if own == step}
    table.kept(f"images: {', '.join(_shown(step) for step in [*before, *after])}")
    others = [name_of(step) for step in train if id(step) not in kept]
    if others:
        names = ", ".join(dict.fromkeys(others))
        table.replaced(
            f"train pipeline: {names}", "proposals instead of labels, two views and their augmentation"
        )
    return Loading(before, after, _look_at_one([*before, *after], paths) or guessed(before, stock.model))


def loaders_of(pipeline: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The steps of a pipeline that read an image: by their names, else a first one of the user's own."""
    named = [step for step in pipeline if kind_of(step) == IMAGE]
    own = [step for step in pipeline[:1] if kind_of(step) == OTHER and not of_library(step, TRANSFORMS)]
    return named or own


def _from_file(step: Mapping[str, Any], table: Table) -> Step:
    """A loader of files in the place of one that is handed arrays."""
    if "LoadImageFromNDArray" not in names_of(step, TRANSFORMS):
        return raw(step)
    table.replaced("LoadImageFromNDArray", "images are read from files: LoadImageFromFile")
    return {**raw(step), "type": "LoadImageFromFile"}


def _shown(step: Mapping[str, Any]) -> str:
    settings = ", ".join(
        f"{k}={v}" for k, v in step.items() if k not in ("type", "_scope_") and v is not None
    )
    return f"{name_of(step)}({settings})" if len(settings) < 80 else f"{name_of(step)}(...)"


def _look_at_one(steps: Sequence[Mapping[str, Any]], paths: Sequence[str]) -> Pixels | None:
    """As :func:`look`, at the first image that can be read: another may be broken."""
    complaint: InputError | None = None
    for path in paths:
        try:
            if seen := look(steps, path):
                return seen
        except InputError as error:
            complaint = complaint or error
    if complaint:
        raise complaint
    return None


def look(steps: Sequence[Mapping[str, Any]], path: str) -> Pixels | None:
    """Read an image by a config's loader and look at it; None where it is not on this machine.

    Raises:
        InputError: the loader cannot read it.
    """
    if not Path(path).is_file():
        return None
    results: Any = {"img_path": path, "img_id": 0, "seg_map_path": None, "instances": [], "sample_idx": 0}
    try:
        for step in steps:
            results = TRANSFORMS.build(ConfigDict(copy.deepcopy(step)))(results)
        image = np.asarray(results["img"])
    except Exception as error:  # a user's class
        text = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        names = ", ".join(name_of(step) for step in steps)
        raise InputError(
            f"config train_dataloader: its loader ({names}) cannot read {path} by its path alone, all that "
            f"proposals know of an image: {text}; give a loader that finds what it needs by img_path"
        ) from error
    floats = image.dtype.kind == "f" and image.min() >= 0 and image.max() <= 255
    floats = floats and np.array_equal(image, np.rint(image))
    return Pixels(image.shape[2] if image.ndim == 3 else 1, image.dtype == np.uint8, bool(floats))


def guessed(steps: list[Step], model: Mapping[str, Any]) -> Pixels:
    """What a loader gives, by what the config says, where there is no image to look at."""
    grey = any(step.get("color_type") == "grayscale" for step in steps)
    inputs = (model.get("backbone") or {}).get("in_channels")
    floats = any(step.get("to_float32") for step in steps)
    return Pixels(1 if grey else inputs if isinstance(inputs, int) and inputs != 3 else 3, not floats, floats)
