"""Images and proposals that a check trains on: generated, of the kind that the config's own loader reads."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from aligndet.box_domain.recipe.images import look
from aligndet.box_domain.recipe.lookup import name_of
from aligndet.box_domain.recipe.steps import IMAGE, kind_of, pipeline_of
from aligndet.checking.conditions import CheckError
from aligndet.common.errors import InputError
from aligndet.proposals.store_writer import StoreWriter
from aligndet.synthetic.pictures import HOLDS, write_pictures

#: Width and height of the images, pixels: two batches of two, lying and standing.
SHAPES = ((160, 128), (160, 128), (128, 160), (128, 160))
#: The same for the zoo, which is tried for its models: a batch of two and one of one, of squares.
SQUARES = ((128, 128),) * 3
#: Proposals of an image, at most.
MOST = 12
#: mmcv's decoders of images that read one kind of file only.
FILE_OF_BACKEND = {"tifffile": ".tif", "turbojpeg": ".jpg"}
#: How backbones call their images' channels.
INPUTS = ("in_channels", "in_chans", "in_chs", "input_channels")
#: The loader of mmcv that says by ``color_type`` how many channels it gives.
STOCK_LOADER = "LoadImageFromFile"


@dataclass(frozen=True)
class Kind:
    """What a loader reads: channels, and the kind of file."""

    channels: int = 3
    suffix: str = ".png"


@dataclass(frozen=True)
class Data:
    """A folder of images, and proposals on them."""

    images: Path
    proposals: Path


class UnreadImagesError(CheckError):
    """A loader of the project's own reads none of the generated images, so there is nothing to try it on."""


def generate_for(config: Config, folder: Path, shapes: Sequence[tuple[int, int]] = SHAPES) -> Data:
    """Write images of a kind that the config's own loader reads, and proposals.

    Args:
        config: the user's, in whose scope this runs.
        folder: to write into.
        shapes: width and height of each image, pixels.

    Raises:
        UnreadImagesError: a loader of the project's own reads no kind that can be generated; which says
            nothing about training on the images that it was made for.
    """
    steps = pipeline_of(config.get("train_dataloader"))
    loaders = [dict(step) for step in steps if kind_of(step) == IMAGE]
    first = kind_for(loaders[0] if loaders else {}, config.model)
    if all(name_of(step) == STOCK_LOADER for step in loaders):
        return generate(folder, first, shapes)
    complaint = ""
    others = (Kind(channels, suffix) for suffix, held in HOLDS.items() for channels in held)
    for kind in dict.fromkeys([first, *others]):
        data = generate(folder, kind, shapes)
        try:
            look(loaders, str(next(data.images.iterdir())))
        except InputError as error:
            complaint = complaint or str(error.__cause__ or error)
        else:
            return data
    names = ", ".join(name_of(step) for step in loaders)
    raise UnreadImagesError(
        f"its loader ({names}) reads no image that can be generated ({' '.join(complaint.split())[:200]}), "
        "so training was not tried; give images that it reads: --images DIR --proposals FILE"
    )


def generate(folder: Path, kind: Kind, shapes: Sequence[tuple[int, int]] = SHAPES) -> Data:
    """Write images and a proposal store into a folder, in the place of those that are there."""
    data = Data(folder / "images", folder / "proposals")
    shutil.rmtree(data.images, ignore_errors=True)
    pictures = write_pictures(data.images, shapes, kind.channels, kind.suffix)
    with StoreWriter(data.proposals) as store:
        for number, picture in enumerate(pictures, 1):
            size = picture.width, picture.height
            store.append(picture.file_name, number, size, regions(picture.boxes))
    return data


def regions(objects: np.ndarray) -> np.ndarray:
    """Boxes (n, 4) float32 of objects (N, 4) and of pairs of them, as a search of segments finds them."""
    pairs = [[*np.minimum(a[:2], b[:2]), *np.maximum(a[2:], b[2:])] for a, b in combinations(objects, 2)]
    boxes = np.array([*objects.tolist(), *pairs], np.float32)  # (N + N (N - 1) / 2, 4)
    first = np.sort(np.unique(boxes, axis=0, return_index=True)[1])
    return boxes[first][:MOST]


def kind_for(loader: Mapping[str, Any], model: Mapping[str, Any]) -> Kind:
    """Tell which images a loader reads.

    ``color_type='unchanged'``, and a loader that says nothing of colours, give as many channels as the file
    has: those of the model's backbone or else of its normalisation.
    """
    colours = loader.get("color_type") or ("color" if name_of(loader) == STOCK_LOADER else "unchanged")
    suffix = FILE_OF_BACKEND.get(str(loader.get("imdecode_backend")), ".png")
    if str(colours).startswith("color") or not loader:
        channels = 3
    else:
        channels = 1 if str(colours).startswith("grayscale") else channels_of(model)
    return Kind(channels, suffix if channels in HOLDS[suffix] else ".png")


def channels_of(model: Mapping[str, Any]) -> int:
    """Channels of the images that a model takes, by its backbone or normalisation; 3 where neither says."""
    backbone = model.get("backbone") or {}
    said = [backbone[key] for key in INPUTS if isinstance(backbone.get(key), int)]
    means = [mean for mean in _values_of(model.get("data_preprocessor"), "mean") if mean]
    return said[0] if said else len(means[0]) if means and isinstance(means[0], (list, tuple)) else 3


def _values_of(node: Any, key: str) -> Iterator[Any]:
    """All values under a key, anywhere in a config's dicts."""
    if isinstance(node, Mapping):
        if key in node:
            yield node[key]
        for value in node.values():
            yield from _values_of(value, key)
