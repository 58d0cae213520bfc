"""Refuse what a config asks in vain: keys that nobody reads, arguments that our classes lack, lost files."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aligndet.common.errors import InputError, nearest
from aligndet.common.signatures import arguments_of
from aligndet.image_domain.normalisation import checkpoints_of
from aligndet.scopes import default_scope, scope_of, scope_of_model

#: Keys at the top of a config that mean something where they are not written, too.
TOP = frozenset(
    (
        *("model", "work_dir", "train_dataloader", "val_dataloader", "test_dataloader"),
        *("train_cfg", "val_cfg", "test_cfg", "auto_scale_lr", "optim_wrapper", "param_scheduler"),
        *("val_evaluator", "test_evaluator", "default_hooks", "custom_hooks", "data_preprocessor"),
        *("load_from", "resume", "launcher", "env_cfg", "log_processor", "log_level", "visualizer"),
        *("vis_backends", "default_scope", "randomness", "experiment_name", "custom_imports"),
        *("find_unused_parameters", "sync_bn", "model_wrapper_cfg", "runner_type", "strategy", "compile"),
        *("tta_model", "tta_pipeline", "backend_args", "check_normalisation"),
    )
)
LOADER = frozenset(
    (
        *("dataset", "batch_size", "num_workers", "sampler", "batch_sampler", "collate_fn", "drop_last"),
        *("persistent_workers", "pin_memory", "prefetch_factor", "timeout", "worker_init_fn"),
        *("multiprocessing_context", "num_batch_per_epoch", "shuffle", "generator", "pin_memory_device"),
        "in_order",
    )
)
#: What else may stand at a place than its class or its present keys say.
PLACES = {
    "optim_wrapper": frozenset(["paramwise_cfg", "constructor", "dtype", "loss_scale", "use_fp64"]),
    "randomness": frozenset(["seed", "diff_rank_seed", "deterministic"]),
    "auto_scale_lr": frozenset(["enable", "base_batch_size"]),
    "train_dataloader": LOADER,
    "val_dataloader": LOADER,
    "test_dataloader": LOADER,
}
#: Dicts of fixed meaning without a type: there is no other key.
CLOSED = frozenset(["randomness", "auto_scale_lr", "train_dataloader", "val_dataloader", "test_dataloader"])
#: mmengine's registries of what a config can name by ``type``; those that have a child of our scope.
OWN_REGISTRIES = ("MODELS", "HOOKS", "TRANSFORMS", "DATASETS", "OPTIM_WRAPPER_CONSTRUCTORS")
REGISTRIES = (
    *OWN_REGISTRIES,
    *("OPTIMIZERS", "OPTIM_WRAPPERS", "PARAM_SCHEDULERS", "LOOPS", "DATA_SAMPLERS", "METRICS"),
    *("TASK_UTILS", "VISUALIZERS", "VISBACKENDS", "LOG_PROCESSORS", "EVALUATOR", "WEIGHT_INITIALIZERS"),
    *("MODEL_WRAPPERS", "RUNNERS", "STRATEGIES", "INFERENCERS", "FUNCTIONS"),
)
#: Packages whose classes read no keyword that their signatures, or those of their bases, do not name.
LIBRARIES = ("mmdet", "mmengine", "mmcv", "mmpretrain", "torch", "aligndet")
#: Keys of mmengine in any dict of a class.
ALWAYS = frozenset(["type", "_scope_", "_delete_", "convert_to_iter_based", "priority"])


def check_options(config: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Check that every dotted key of ``--cfg-options`` is there, or that its new key would be read.

    Raises:
        InputError: nothing would read it; the nearest key is suggested.
    """
    for key in options:
        _check_option(config, key)


def _check_option(config: Mapping[str, Any], key: str) -> None:
    node: Any = config
    above: list[str] = []
    for name in key.split("."):
        what = f"--cfg-options {key}"
        if isinstance(node, Sequence) and not isinstance(node, str):
            if not name.isdigit() or int(name) >= len(node):
                raise InputError(
                    f"{what}: {'.'.join(above)} is a list, give an index from 0 to {len(node) - 1}"
                )
            node = node[int(name)]
        elif not isinstance(node, Mapping):
            raise InputError(f"{what}: {'.'.join(above)} is {str(node)[:40]!r} and has no keys of its own")
        elif name not in node:
            _check_new(what, config, node, ".".join(above), name)
            if above or name not in CLOSED:
                return
            node = {}
        else:
            node = node[name]
        above.append(name)


def _check_new(what: str, config: Mapping[str, Any], node: Mapping[str, Any], place: str, name: str) -> None:
    """Check a key that is not in the dict at ``place`` yet."""
    if name in ALWAYS | PLACES.get(place, frozenset()) or (not place and name in TOP):
        return
    if not place or place in CLOSED:
        choices = {*node, *(PLACES[place] if place else TOP)}
        raise InputError(f"{what}: no such key{nearest(name, choices)}")
    kinds = classes_of(node, default_scope(config)) if "type" in node else []
    known = [arguments_of(kind) for kind in kinds]
    arguments = {argument for names, _ in known for argument in names}
    if name in arguments:
        return
    if not kinds or any(more for _, more in known) or any(_takes_more(kind) for kind in kinds):
        _refuse_alike(what, name, arguments | set(node))
        return
    raise InputError(f"{what}: {kinds[0].__name__} has no argument {name}{nearest(name, arguments)}")


def _takes_more(kind: type) -> bool:
    """Whether a user's own class takes any keyword: it may read some before it hands the others on."""
    parameters = inspect.signature(kind).parameters.values()
    own = kind.__module__.split(".")[0] not in LIBRARIES
    return own and any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)


def _refuse_alike(what: str, name: str, choices: set[str]) -> None:
    """Refuse a key of an open dict that looks like a slip of one that is there; a number more is no slip."""
    unnumbered = {choice for choice in choices if re.sub(r"\d+", "", choice) != re.sub(r"\d+", "", name)}
    if difflib.get_close_matches(name, unnumbered, n=1, cutoff=0.85):
        raise InputError(f"{what}: no such key{nearest(name, choices)}")


def check_own_arguments(config: Mapping[str, Any]) -> None:
    """Check the arguments of every ``type='aligndet.X'`` in a config, and of a pre-trainer's ``adapter``.

    Raises:
        InputError: a class takes no such argument, or there is no such class; names the key of the config.
    """
    with scope_of(config):
        for place, node in _dicts(config, ""):
            if isinstance(node["type"], str) and node["type"].startswith("aligndet."):
                _check_own(node, place)


def _check_own(node: Mapping[str, Any], place: str) -> None:
    """Check one ``type='aligndet.X'``, as :func:`check_own_arguments`."""
    kinds = classes_of(node, "aligndet")
    if not kinds:
        name = node["type"]
        raise InputError(f"config {place}.type: there is no {name}{nearest(name, own_names())}")
    kind = kinds[0]
    _check_arguments(kind, node, place)
    if kind.__name__ == "BoxDomainPretrainer" and isinstance(node.get("adapter"), Mapping):
        _check_adapter(node, f"{place}.adapter")


def _check_adapter(pretrainer: Mapping[str, Any], place: str) -> None:
    from mmengine.config import ConfigDict

    from aligndet.box_domain.adapters import adapter_for

    if isinstance(pretrainer.get("detector"), Mapping):
        with scope_of_model(pretrainer["detector"]):
            kind = adapter_for(ConfigDict(pretrainer["detector"]))
        _check_arguments(kind, pretrainer["adapter"], place, given={"detector", "classifiers"})


def check_files(config: Mapping[str, Any]) -> None:
    """Check that the weights a config starts from are there; what is no path of this machine is passed over.

    Raises:
        InputError: names the key of the config.
    """
    for place, name in checkpoints_of(config):
        if name and "://" not in name and not Path(name).expanduser().is_file():
            raise InputError(f"config {place}: {name}: no such file of weights")


def _check_arguments(
    kind: type, node: Mapping[str, Any], place: str, given: frozenset[str] | set[str] = frozenset()
) -> None:
    arguments, more = arguments_of(kind)
    for name in node:
        if name not in (arguments.keys() - given) | ALWAYS and not more:
            hint = nearest(str(name), arguments.keys() - given)
            raise InputError(f"config {place}.{name}: {kind.__name__} has no argument {name}{hint}")


def _dicts(node: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All dicts with a type in a config, with their places."""
    if isinstance(node, Mapping):
        if "type" in node:
            yield place, node
        for name, value in node.items():
            yield from _dicts(value, f"{place}.{name}" if place else str(name))
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            yield from _dicts(value, f"{place}.{number}")


def own_names() -> list[str]:
    """Every ``aligndet.X`` that is registered."""
    from aligndet import registry

    registries = [getattr(registry, name) for name in OWN_REGISTRIES]
    for each in registries:
        each.import_from_location()
    return [f"aligndet.{name}" for each in registries for name in each.module_dict]


def classes_of(node: Mapping[str, Any], scope: str) -> list[type]:
    """List the classes that a dict's ``type`` may mean: its name in every registry of a scope."""
    from mmengine import registry as roots

    kind = node["type"]
    if not isinstance(kind, str):
        return [kind] if inspect.isclass(kind) else []
    scope = kind.split(".")[0] if "." in kind else str(node.get("_scope_") or scope)
    classes: list[type] = []
    for name in REGISTRIES if scope != "aligndet" else OWN_REGISTRIES:
        with getattr(roots, name).switch_scope_and_registry(scope) as registry:
            found = registry.get(kind)
        if inspect.isclass(found) and found not in classes:
            classes.append(found)
    return classes
