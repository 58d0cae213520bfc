"""The data of a pre-training: the user's images, loader and workers, the recipe's two views of each."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import DATA_SAMPLERS

from aligndet.box_domain.recipe.images import Pixels, loading
from aligndet.box_domain.recipe.lookup import name_of, names_of
from aligndet.box_domain.recipe.sizes import Tested, resize, tested_size
from aligndet.box_domain.recipe.steps import PACKING, kind_of, pipeline_of
from aligndet.box_domain.recipe.table import Table
from aligndet.common.config_text import raw
from aligndet.common.notices import warn
from aligndet.proposals.store import ProposalStore

Step = dict[str, Any]

#: Settings of a data loader that have no reason to change.
KEPT = (
    *("batch_size", "num_workers", "drop_last", "pin_memory", "pin_memory_device", "prefetch_factor"),
    *("timeout", "worker_init_fn", "multiprocessing_context", "in_order"),
)
BRANCHES = ("online", "momentum")
#: Images that are tried until the user's loader reads one.
LOOKED_AT = 4
#: What mmdet's PackDetInputs packs of an image beside its pixels.
META_KEYS = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "flip", "flip_direction")


def train_dataloader(
    stock: Config, recipe: ConfigDict, proposals: ProposalStore, files: tuple[str, str], table: Table
) -> ConfigDict:
    """Put the user's images, loader and workers into the recipe's data, in place.

    Args:
        stock: the user's config.
        recipe: ``train_dataloader`` of the recipe.
        proposals: the opened file.
        files: path of the proposals, and the folder of their images.
        table: is told.

    Raises:
        InputError: the user's loader cannot read the images.
    """
    _settings(stock, recipe, table)
    dataset = recipe.dataset
    dataset.ann_file, dataset.data_prefix = files[0], {"img": files[1]}
    first, *others = dataset.pipeline
    rows = range(0, len(proposals), max(1, len(proposals) // LOOKED_AT))
    paths = [osp.join(files[1], proposals.file_name(row)) for row in rows]
    steps = loading(stock, raw(first), paths, table)
    dataset.pipeline = [*steps.before, *others]
    tested = _tested(stock, steps.pixels.channels, others, table)
    last = [*steps.after, *_pads(stock, tested)]
    for step in others:
        for branch in BRANCHES:
            if branch in step:
                step[branch] = _view(list(step[branch]), tested, steps.pixels, last, _meta_keys(stock))
    _tell_colour(steps.pixels, table)
    return recipe


def _settings(stock: Config, recipe: ConfigDict, table: Table) -> None:
    """Take over what a user's data loader says of batches and workers."""
    given = stock.get("train_dataloader") or {}
    if isinstance(given, (list, tuple)):
        table.replaced("train_dataloader", f"the first of {len(given)}: pre-training has one source")
        given = given[0] if given else {}
    own = raw(given)
    kept = [key for key in KEPT if key in own]
    recipe.update({key: own[key] for key in kept})
    recipe.persistent_workers = bool(recipe.num_workers and own.get("persistent_workers", True))
    if "batch_sampler" in own and not _of_labels(own["batch_sampler"]):
        recipe.batch_sampler = own["batch_sampler"]
        kept.append("batch_sampler")
    elif own.get("batch_sampler"):
        because = "it groups several sources or videos; the recipe's is by aspect ratio"
        table.replaced(f"train_dataloader.batch_sampler {name_of(own['batch_sampler'])}", because)
    if kept:
        table.kept(f"train_dataloader: {', '.join(kept)}")
    sampler, collate = own.get("sampler") or {}, own.get("collate_fn") or {}
    if sampler and name_of(sampler) != "DefaultSampler":
        because = "an epoch of the recipe is each image once: DefaultSampler"
        table.replaced(f"train_dataloader.sampler {name_of(sampler)}", because)
    if collate and (not isinstance(collate, Mapping) or name_of(collate) != "pseudo_collate"):
        table.replaced("train_dataloader.collate_fn", "a sample has two views: mmengine's pseudo_collate")


def _of_labels(sampler: Any) -> bool:
    """Whether a batch sampler reads what proposals have not: several sources, videos, classes."""
    if not isinstance(sampler, Mapping):
        return False
    return any(
        word in name for name in names_of(sampler, DATA_SAMPLERS) for word in ("Multi", "Track", "Class")
    )


def _tested(stock: Config, channels: int, steps: list[Any], table: Table) -> Tested:
    """The size of the user's test, else the recipe's."""
    found = tested_size(stock, channels)
    if found:
        how = "at most, ratio kept" if found.keeps_ratio else "all, ratio not kept"
        table.kept(f"image size: {found.long} x {found.short} px {how}", "views are random sizes up to it")
        return found
    view = next(step[BRANCHES[0]] for step in steps if BRANCHES[0] in step)
    long, short = max(view[0]["scales"], key=min)
    warn(f"no Resize with a scale in test_dataloader: views are made at {long} x {short} px")
    table.replaced("image size", f"the config tests at no fixed size; views are made at {long} x {short} px")
    return Tested(long, short, keeps_ratio=True)


def _pads(stock: Config, tested: Tested) -> list[Step]:
    """The test's padding, where the preprocessor pads to no multiple of its own."""
    preprocessor = stock.model.get("data_preprocessor") or stock.get("data_preprocessor") or {}
    alone = (preprocessor.get("pad_size_divisor") or 1) <= 1
    return [tested.padding] if tested.padding and alone else []


def _meta_keys(stock: Config) -> list[str]:
    """What the user's pipeline packs of an image beside its pixels, and mmdet's does not."""
    packing = [step for step in pipeline_of(stock.get("train_dataloader")) if kind_of(step) == PACKING]
    keys = [key for step in packing for key in step.get("meta_keys") or ()]
    return [key for key in dict.fromkeys(keys) if key not in META_KEYS]


def _view(view: list[Any], tested: Tested, pixels: Pixels, last: list[Step], meta: list[str]) -> list[Any]:
    """A view of the recipe, at the user's size and with the colours that its images have.

    Args:
        view: steps of the recipe.
        tested: the largest size.
        pixels: of the user's images.
        last: the user's steps before packing.
        meta: keys of an image that the user's detector wants beside mmdet's.
    """
    first, *others, pack = view
    if meta:
        pack = {**raw(pack), "meta_keys": (*META_KEYS, *meta)}
    colour = [step for step in others if name_of(step) == "RandomChoice"]
    geometry = [step for step in others if step not in colour]
    if not pixels.bytes and pixels.floats_of_bytes:
        colour = [{"type": "aligndet.ColourOfFloats", "transforms": step["transforms"]} for step in colour]
    if pixels.channels != 3 or not (pixels.bytes or pixels.floats_of_bytes):
        colour = []
    return [resize(tested, first["scales"]), *geometry, *colour, *last, pack]


def _tell_colour(pixels: Pixels, table: Table) -> None:
    if pixels.channels != 3:
        table.left_out("colour augmentation of the recipe", f"images have {pixels.channels} channels, not 3")
    elif not (pixels.bytes or pixels.floats_of_bytes):
        table.left_out("colour augmentation of the recipe", "pixels are no values between 0 and 255")
