"""The user's hooks in pre-training: all but those that belong to what pre-training replaces or has not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from aligndet.box_domain.recipe.lookup import class_of, name_of, names_of
from aligndet.box_domain.recipe.table import Table
from aligndet.common.config_text import raw

#: Names of a hook's class or of its bases, and why pre-training goes without it.
LEFT_OUT = (
    (r"(?<![A-Z])EMA(?![a-z])|MovingAverage|^SWA|MeanTeacher", "the momentum network is the moving average"),
    (r"EarlyStop", "there is no validation to stop by"),
    (
        r"(Mode|Pipeline|Stage|Aug\w*|Mosaic)Switch|Switch(Mode|Pipeline|Stage|Aug)|Close(Mosaic|Aug)",
        "it switches the train pipeline, which is replaced",
    ),
    (r"ParamScheduler|(Lr|Momentum)Updater|LRSchedule|WarmUp|Warmup", "the schedule is the recipe's"),
    (r"NumClass", "proposals have no labelled classes"),
    (r"FastStop", "the length is the recipe's"),
)
#: Methods of a hook that a training without validation calls.
IN_TRAINING = (
    *("before_run", "after_run", "before_train", "after_train", "before_train_epoch", "after_train_epoch"),
    *("before_train_iter", "after_train_iter", "before_save_checkpoint", "after_load_checkpoint"),
    *("_before_epoch", "_after_epoch", "_before_iter", "_after_iter"),
)
#: Arguments of the checkpoint hook that say when, how many and which is best: the recipe says.
OF_THE_RECIPE = frozenset(
    (
        *("by_epoch", "interval", "max_keep_ckpts", "save_best", "rule", "greater_keys", "less_keys"),
        *("out_dir", "save_last", "save_begin", "published_keys", "filename_tmpl"),
    )
)


def custom_hooks(stock: Config, ours: list[Any], table: Table) -> list[Any]:
    """Put the hooks of a user's ``custom_hooks`` behind those of the recipe.

    Args:
        stock: the user's config.
        ours: of the recipe.
        table: is told of each.
    """
    kept = []
    for number, hook in enumerate(stock.get("custom_hooks") or []):
        key = f"custom_hooks.{number} {name_of(hook) if isinstance(hook, Mapping) else hook}"
        because = _because(hook)
        if because:
            table.left_out(key, because)
        else:
            table.kept(key)
            kept.append(hook)
    return [*ours, *kept]


def default_hooks(stock: Config, checkpoint: ConfigDict, table: Table) -> dict[str, Any]:
    """Keep a user's ``default_hooks`` but for what they say of checkpoints, the schedule and validation.

    Args:
        stock: the user's config.
        checkpoint: the recipe's hook.
        table: is told of each that is not kept.
    """
    hooks, left = raw(stock.get("default_hooks") or {}), []
    for name, hook in list(hooks.items()):
        because = _because(hook) if isinstance(hook, Mapping) else ""
        own_schedule = name == "param_scheduler" and (hook is None or name_of(hook) != "ParamSchedulerHook")
        if own_schedule or (because and name not in ("param_scheduler", "checkpoint")):
            del hooks[name]
            left.append(name)
            what = "None" if hook is None else name_of(hook)
            table.left_out(f"default_hooks.{name} {what}", because or "the schedule is the recipe's")
    theirs = raw(hooks.get("checkpoint") or {})
    kept = {key: value for key, value in theirs.items() if key not in OF_THE_RECIPE}
    hooks["checkpoint"] = {**raw(checkpoint), **kept}
    if others := [name for name in hooks if name != "checkpoint"]:
        table.kept(f"default_hooks: {', '.join(others)}")
    table.replaced(
        "default_hooks.checkpoint", "one each epoch, the last two stay; none is best by validation"
    )
    return hooks


def _because(hook: Any) -> str:
    """Why pre-training goes without a hook; empty where it runs."""
    if not isinstance(hook, Mapping):
        return ""
    for name in names_of(hook, HOOKS):
        for pattern, because in LEFT_OUT:
            if re.search(pattern, name):
                return because
    kind = class_of(hook, HOOKS)
    if kind is None or any(
        getattr(kind, name, None) is not getattr(Hook, name, None) for name in IN_TRAINING
    ):
        return ""
    return "it works in validation and tests, of which there are none"
