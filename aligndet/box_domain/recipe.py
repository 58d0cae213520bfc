"""From any stock mmdet config to a complete pre-training config of its detector.

Schedules and optimisers stand in ``configs/_base_/recipe_*.py``, one file for each family of detectors; here
is only which family a detector belongs to. All are for 16 images.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

import aligndet
from aligndet.box_domain.adapters import Adapter, adapter_for
from aligndet.common.configs import read_config
from aligndet.common.errors import InputError
from aligndet.common.notices import warn
from aligndet.proposals.formats import read_proposals

#: Keys that a recipe gives.
SCHEDULE = (
    *("train_cfg", "optim_wrapper", "param_scheduler", "custom_hooks", "auto_scale_lr"),
    "find_unused_parameters",
)
#: Keys of a stock config that any run needs and that pre-training takes over.
RUNTIME = (
    *("default_scope", "env_cfg", "vis_backends", "visualizer", "log_processor", "log_level"),
    *("custom_imports", "backend_args", "randomness"),
)
#: Folder of the recipes.
RECIPES = Path(aligndet.__file__).parent / "configs" / "_base_"


def pretraining_config(stock: Config, proposals: str, images: str) -> Config:
    """Wrap the detector of a stock config for box-domain pre-training.

    Args:
        stock: an mmdet config with ``model``.
        proposals: file or store of ``aligndet proposals make``.
        images: folder that the proposals' file names are relative to.

    Returns:
        a config that runs as it is, stays valid when dumped, and can be edited.

    Raises:
        InputError: the config has no model, or one that cannot be served; or there are no such proposals.
    """
    if "model" not in stock:
        raise InputError(f"config {stock.filename}: no model in this config; give one that trains a detector")
    recipe = _recipe(stock, adapter_for(ConfigDict(stock.model)))
    num_clusters = max(1, read_proposals(proposals).num_clusters)
    config = {key: copy.deepcopy(stock[key]) for key in RUNTIME if key in stock}
    model = {"type": "aligndet.BoxDomainPretrainer", "detector": copy.deepcopy(stock.model)}
    if num_clusters > 1:
        model["num_clusters"] = num_clusters
    config.update({key: recipe[key] for key in SCHEDULE})
    config.update(
        model=model,
        train_dataloader=_data(stock, recipe.train_dataloader, proposals, images),
        default_hooks=_hooks(stock, recipe.default_hooks.checkpoint),
        load_from=None,
        resume=False,
    )
    return Config(config)


def _recipe(stock: Config, kind: type[Adapter]) -> Config:
    """The recipe of the detector's family, and what generated configs add to it."""
    optimizer = stock.get("optim_wrapper", {}).get("optimizer", {}).get("type", "SGD")
    family = kind.RECIPE
    if family != "transformer" and str(optimizer).startswith("Adam"):
        family = "adamw"
    recipe = read_config(str(RECIPES / f"recipe_{family}.py"))
    added = read_config(str(RECIPES / "generated.py"))
    if "clip_grad" not in recipe.optim_wrapper:
        recipe.optim_wrapper.clip_grad = added.optim_wrapper.clip_grad
    recipe.find_unused_parameters = added.find_unused_parameters
    return recipe


def _data(stock: Config, loader: ConfigDict, proposals: str, images: str) -> ConfigDict:
    """The recipe's two-view data with this detector's batch and image sizes, in place."""
    own = stock.get("train_dataloader", {})
    loader.batch_size = own.get("batch_size", loader.batch_size)
    loader.num_workers = own.get("num_workers", loader.num_workers)
    loader.persistent_workers = loader.num_workers > 0
    loader.dataset.ann_file, loader.dataset.data_prefix = str(proposals), {"img": str(images)}
    for step in loader.dataset.pipeline:
        for view in ("online", "momentum"):
            if view in step:
                step[view][0] = _resize(stock, step[view][0]["scales"])
    return loader


def _resize(stock: Config, scales: list[tuple[int, int]]) -> dict[str, Any]:
    """A random size up to the one that the detector is tested at, in the steps of the recipe's short sides.

    Args:
        stock: of the detector.
        scales: (long, short) sides of the recipe's views, in pixels.
    """
    largest = max(scales, key=min)
    for step in _steps(stock.get("test_dataloader", {}).get("dataset", {}).get("pipeline", [])):
        if str(step.get("type")).endswith("Resize") and isinstance(step.get("scale"), (tuple, list)):
            long, short = max(step["scale"]), min(step["scale"])
            if not step.get("keep_ratio"):
                return {"type": "Resize", "scale": tuple(step["scale"]), "keep_ratio": False}
            break
    else:
        long, short = largest
        warn(f"no Resize with a scale in test_dataloader: views are made at {long} x {short} px")
    sides = [min(scale) / min(largest) for scale in scales]
    square = long == short
    chosen = [(round(long * side) if square else long, round(short * side)) for side in sides]
    return {"type": "RandomChoiceResize", "scales": chosen, "keep_ratio": True}


def _steps(pipeline: Any) -> Iterator[dict[str, Any]]:
    """All transforms of a pipeline, nested ones too."""
    for step in pipeline if isinstance(pipeline, (list, tuple)) else ():
        if isinstance(step, dict):
            yield step
            yield from _steps(step.get("transforms"))
        else:
            yield from _steps(step)


def _hooks(stock: Config, checkpoint: ConfigDict) -> dict[str, Any]:
    """The stock config's hooks with the recipe's checkpoints; nothing is drawn."""
    hooks = {**copy.deepcopy(dict(stock.get("default_hooks", {}))), "checkpoint": checkpoint}
    hooks.pop("visualization", None)
    return hooks
