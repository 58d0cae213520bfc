"""From any user's mmdet config to a complete pre-training config of its detector.

Schedules and rates stand in ``configs/_base_/recipe_*.py``, one file for each family of detectors; here is
which family a detector belongs to, and what else of the user's config stays: all that the recipe has no
reason to change. All recipes are for 16 images.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

import aligndet
from aligndet.box_domain.adapters import Adapter, adapter_for, refuse_config
from aligndet.box_domain.recipe.hooks import custom_hooks, default_hooks
from aligndet.box_domain.recipe.loader import train_dataloader
from aligndet.box_domain.recipe.optimiser import family_of, optim_wrapper
from aligndet.box_domain.recipe.preprocessor import of_plain_batches
from aligndet.box_domain.recipe.table import Table
from aligndet.common.config_text import raw, sections
from aligndet.common.configs import read_config
from aligndet.common.errors import InputError
from aligndet.proposals.formats import read_proposals
from aligndet.scopes import scope_of, scope_of_model

__all__ = ["RECIPES", "Table", "building_blocks", "detector_of", "pretraining_config"]

#: Keys of a user's config that any run needs and that pre-training takes over.
RUNTIME = (
    *("default_scope", "env_cfg", "vis_backends", "visualizer", "log_processor", "log_level"),
    *("custom_imports", "backend_args", "randomness", "sync_bn", "runner_type", "strategy"),
)
#: Keys of which pre-training has others, and those that it has not, with the reason.
REPLACED = {
    "train_cfg": "the recipe's length",
    "param_scheduler": "the recipe's schedule",
}
LEFT_OUT = {
    **dict.fromkeys(("val_dataloader", "val_cfg", "val_evaluator"), "there are no labels to validate on"),
    **dict.fromkeys(("test_dataloader", "test_cfg", "test_evaluator"), "there are no labels to test on"),
    **dict.fromkeys(("tta_model", "tta_pipeline"), "there are no labels to test on"),
    "load_from": "pre-training starts from the backbone's weights; the export is what load_from is for",
    "resume": "--resume says so",
    "compile": "a compiled step does not show the features that pre-training reads",
    **dict.fromkeys(("work_dir", "launcher", "experiment_name"), "the command says it"),
}
#: Sections that a user's variables are building blocks of.
BLOCKS_OF = (
    *("model", "train_dataloader", "optim_wrapper", "custom_hooks", "default_hooks", "data_preprocessor"),
    *("auto_scale_lr", "find_unused_parameters", "model_wrapper_cfg"),
    *(*REPLACED, *LEFT_OUT, *RUNTIME),
)
#: Folder of the recipes.
RECIPES = Path(aligndet.__file__).parent / "configs" / "_base_"


def pretraining_config(stock: Config, proposals: str, images: str, table: Table | None = None) -> Config:
    """Wrap the detector of a user's config for box-domain pre-training.

    Args:
        stock: an mmdet config with ``model``, in the old style or the new.
        proposals: file or store of ``aligndet proposals make``.
        images: folder that the proposals' file names are relative to.
        table: is told what is kept, replaced and left out.

    Returns:
        a config that runs as it is, can be edited, and stays what it is when it is written by
        :func:`aligndet.common.config_text.config_text` and read back.

    Raises:
        InputError: the config has no model, or one that cannot be served; there are no such proposals; or the
            config's loader cannot read the images.
    """
    if not isinstance(stock.get("model"), dict):
        raise InputError(f"config {stock.filename}: no model in this config; give one that trains a detector")
    table = table if table is not None else Table()
    with scope_of(stock), scope_of_model(stock.model):
        refuse_config(stock)
        recipe = _recipe(stock, adapter_for(ConfigDict(stock.model)), table)
        store = read_proposals(proposals)
        table.kept("model, data_preprocessor", "model.detector")
        own = raw(stock)
        config = {key: copy.deepcopy(own[key]) for key in RUNTIME if key in own}
        table.kept(", ".join(config))
        config.setdefault("default_scope", "mmdet")
        config.update(
            {key: recipe[key] for key in ("train_cfg", "param_scheduler", "find_unused_parameters")}
        )
        config.update(
            model=_model(stock, max(1, store.num_clusters), table),
            train_dataloader=train_dataloader(
                stock, recipe.train_dataloader, store, (str(proposals), str(images)), table
            ),
            optim_wrapper=recipe.optim_wrapper,
            auto_scale_lr=recipe.auto_scale_lr,
            default_hooks=default_hooks(stock, recipe.default_hooks.checkpoint, table),
            custom_hooks=custom_hooks(stock, recipe.custom_hooks, table),
            load_from=None,
            resume=False,
        )
    _wrapper_of_processes(own, config, table)
    variables = {key: copy.deepcopy(own[key]) for key in _variables(stock)}
    if variables:
        table.kept(
            f"variables: {', '.join(variables)}", "hooks may read them; the sections hold what they made"
        )
    _tell_the_rest(own, table)
    return Config({**config, **variables})


def _recipe(stock: Config, kind: type[Adapter], table: Table) -> Config:
    """The recipe of the detector's family, with the user's optimiser in it."""
    rates, family = family_of(stock), kind.RECIPE
    if rates == "adam" and family != "transformer":
        family = "adamw"
    recipe = read_config(str(RECIPES / f"recipe_{family}.py"))
    added = read_config(str(RECIPES / "generated.py"))
    if rates == "sgd" and family == "transformer":
        recipe.optim_wrapper.optimizer = read_config(str(RECIPES / "recipe_cnn.py")).optim_wrapper.optimizer
    wrapper = optim_wrapper(stock, recipe.optim_wrapper, added.optim_wrapper.clip_grad, table)
    recipe.optim_wrapper = wrapper
    recipe.find_unused_parameters = added.find_unused_parameters
    theirs = stock.get("auto_scale_lr") or {}
    recipe.auto_scale_lr.enable = theirs.get("enable", recipe.auto_scale_lr.enable)
    if rates is None:
        recipe.auto_scale_lr.update(theirs)  # a rate and its batch size belong together
    return recipe


def detector_of(stock: Config, table: Table) -> dict[str, Any]:
    """Copy the model of a user's config, with a preprocessor that stands beside it put in.

    Args:
        stock: the user's config.
        table: is told where the preprocessor is replaced.
    """
    detector = copy.deepcopy(raw(stock.model))
    beside = raw(stock).get("data_preprocessor")
    if beside and "data_preprocessor" not in detector:
        detector["data_preprocessor"] = copy.deepcopy(beside)
    if "data_preprocessor" in detector:
        detector["data_preprocessor"] = of_plain_batches(detector["data_preprocessor"], stock, table)
    return detector


def _model(stock: Config, num_clusters: int, table: Table) -> dict[str, Any]:
    """The pre-trainer around the user's detector."""
    model = {"type": "aligndet.BoxDomainPretrainer", "detector": detector_of(stock, table)}
    return {**model, "num_clusters": num_clusters} if num_clusters > 1 else model


def _wrapper_of_processes(own: dict[str, Any], config: dict[str, Any], table: Table) -> None:
    """Keep how a model is spread over processes; a head may leave a layer out of a step."""
    if own.get("model_wrapper_cfg"):
        config["model_wrapper_cfg"] = {**raw(own["model_wrapper_cfg"]), "find_unused_parameters": True}
        table.kept("model_wrapper_cfg", "with find_unused_parameters")


def _variables(stock: Config) -> list[str]:
    """Keys of a user's config that are no section of it."""
    return [key for key in sections(stock) if key not in BLOCKS_OF]


def building_blocks(stock: Config) -> set[str]:
    """Name variables of a user's config that only made parts of its sections: to change them does nothing."""
    parts = [part for key in BLOCKS_OF if key in stock for part in _parts(stock[key])]
    return {key for key in _variables(stock) if stock[key] in parts}


def _parts(node: Any) -> list[Any]:
    inner = list(node.values()) if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else []
    return [node, *(part for value in inner for part in _parts(value))]


def _tell_the_rest(own: dict[str, Any], table: Table) -> None:
    for key, because in REPLACED.items():
        if own.get(key):
            table.replaced(key, because)
    reasons: dict[str, list[str]] = {}
    for key, because in LEFT_OUT.items():
        if own.get(key):
            reasons.setdefault(because, []).append(key)
    for because, keys in reasons.items():
        table.left_out(", ".join(keys), because)
