"""The user's optimiser in pre-training: its class and settings, with the recipe's rate."""

from __future__ import annotations

import re
from typing import Any, Literal

from mmengine.config import Config, ConfigDict
from mmengine.registry import OPTIMIZERS
from torch import optim

from aligndet.box_domain.recipe.lookup import class_of, name_of
from aligndet.box_domain.recipe.table import Table
from aligndet.common.config_text import raw

Family = Literal["adam", "sgd", "any"]
_ADAM = (optim.Adam, optim.AdamW, optim.NAdam, optim.RAdam, optim.Adamax)
CONSTRUCTOR = "aligndet.DetectorConstructor"


def family_of(stock: Config) -> Family | None:
    """Tell whose rates fit a config's optimiser: Adam's, SGD's, none but its own, or any where it has none.

    Optimisers that find the rate themselves (D-Adaptation, Prodigy) and others (Lion, Adagrad) keep theirs.
    """
    optimiser = _optimiser(stock)
    if optimiser is None:
        return "any"
    kind, name = class_of(optimiser, OPTIMIZERS), name_of(optimiser)
    if re.search(r"adapt|prodigy", name, re.IGNORECASE):
        return None
    if (kind and issubclass(kind, _ADAM)) or re.search(r"adam", name, re.IGNORECASE):
        return "adam"
    return "sgd" if (kind and issubclass(kind, optim.SGD)) or name.endswith("SGD") else None


def optim_wrapper(stock: Config, recipe: ConfigDict, clip: ConfigDict, table: Table) -> dict[str, Any]:
    """Give the user's optimiser wrapper the recipe's numbers.

    Args:
        stock: the user's config.
        recipe: ``optim_wrapper`` of the recipe whose rates fit the optimiser.
        clip: of the gradients, where neither the recipe nor the user clips them.
        table: is told.
    """
    theirs, ours = raw(stock.get("optim_wrapper") or {}), raw(recipe)
    if theirs and _optimiser(stock) is None:
        table.replaced("optim_wrapper", "it names no single optimizer; pre-training has one: the recipe's")
        theirs = {}
    wrapper: dict[str, Any] = {**{key: value for key, value in ours.items() if key != "clip_grad"}, **theirs}
    if theirs:
        wrapper["optimizer"] = _with_rates(raw(theirs["optimizer"]), raw(ours["optimizer"]), stock, table)
        told = [key for key in theirs if key not in ("optimizer", "clip_grad", "_scope_")]
        table.kept(f"optim_wrapper: {', '.join(told) or 'type'}")
    _clip(wrapper, theirs.get("clip_grad"), ours.get("clip_grad"), clip, table)
    if theirs.get("paramwise_cfg") or theirs.get("constructor"):
        named = {"constructor": theirs["constructor"]} if theirs.get("constructor") else {}
        wrapper["paramwise_cfg"] = {**named, **raw(theirs.get("paramwise_cfg") or {})}
        wrapper["constructor"] = CONSTRUCTOR  # shows the detector's own names to the user's constructor
    return wrapper


def _optimiser(stock: Config) -> ConfigDict | None:
    optimiser = (stock.get("optim_wrapper") or {}).get("optimizer")
    return optimiser if isinstance(optimiser, dict) and "type" in optimiser else None


def _with_rates(theirs: dict[str, Any], ours: dict[str, Any], stock: Config, table: Table) -> dict[str, Any]:
    """The user's optimiser with the recipe's rate, decay and momentum, where the recipe has some for it."""
    name = name_of(_optimiser(stock) or {})
    if family_of(stock) is None:
        table.kept(f"optim_wrapper.optimizer {name}", "whole, its rate too: the recipe has none for it")
        return theirs
    rates = {key: value for key, value in ours.items() if key not in ("type", "_scope_")}
    changed = {key: value for key, value in rates.items() if theirs.get(key) != value}
    kept = [key for key in theirs if key not in {"_scope_", *changed}]
    table.kept(f"optim_wrapper.optimizer {name}: {', '.join(kept)}")
    if changed:
        text = ", ".join(f"{key} {theirs.get(key, 'not set')} -> {value}" for key, value in changed.items())
        table.replaced(f"optim_wrapper.optimizer: {', '.join(changed)}", f"the recipe's: {text}")
    return {**theirs, **rates}


def _clip(wrapper: dict[str, Any], theirs: Any, recipe: Any, default: ConfigDict, table: Table) -> None:
    """Clip gradients as the recipe says, else as the user does, else by the default."""
    wrapper["clip_grad"] = recipe or theirs or default
    if recipe and theirs and recipe != theirs:
        table.replaced("optim_wrapper.clip_grad", f"the recipe's: {theirs} -> {recipe}")
    elif theirs:
        table.kept("optim_wrapper.clip_grad")
    elif not recipe:
        table.replaced(
            "optim_wrapper.clip_grad", f"none -> {default}: the paper did not train every detector"
        )
