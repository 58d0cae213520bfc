"""What a checkpoint of mmengine leaves out and the next step needs, of every process.

Between two steps of the optimiser these are the gradients gathered so far. And a few modules and hooks keep
in Python what they learn on the way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.dist import gather_object, get_rank, get_world_size
from mmengine.model import is_model_wrapper
from torch import nn

from aligndet.common.notices import warn

KEY = "of_processes"
#: Classes of modules and hooks, and what they keep outside of parameters and buffers.
HELD = {
    "DynamicRoIHead": (
        "iou_history",
        "beta_history",
        "bbox_assigner.pos_iou_thr",
        "bbox_assigner.neg_iou_thr",
        "bbox_assigner.min_pos_iou",
        "bbox_head.loss_bbox.beta",
    ),
    "BatchSyncRandomResize": ("_input_size",),
    "SwAVLoss": ("queue",),
    "EarlyStoppingHook": ("best_score", "wait_count"),
}


def gather(runner: Any) -> list[dict[str, Any]] | None:
    """Gather it from all processes, on each of which this must be called; None where there is none of it.

    Returns:
        For each process ``gradients``, and ``modules`` and ``hooks`` by name; the main process has them all.
    """
    mine = {
        "gradients": _gradients(runner),
        "modules": _kept(dict(_model(runner).named_modules())),
        "hooks": _kept(_hooks(runner)),
    }
    if not (mine["modules"] or mine["hooks"] or _accumulates(runner)):
        return None
    return gather_object(mine, dst=0) if get_world_size() > 1 else [mine]


def own(kept: list[dict[str, Any]]) -> dict[str, Any]:
    """Find this process's own in what :func:`gather` gave."""
    if len(kept) == get_world_size():
        return kept[get_rank()]
    warn(
        f"the checkpoint is of a run on {len(kept)} processes, this one has {get_world_size()}: "
        "gradients gathered since the last update, and what modules and hooks keep, begin anew"
    )
    return {"gradients": {}, "modules": {}, "hooks": {}}


def restore_hooks(runner: Any, mine: dict[str, Any]) -> None:
    """Put back what hooks kept."""
    _put_back(_hooks(runner), mine["hooks"])


def restore(runner: Any, mine: dict[str, Any]) -> None:
    """Put back what modules kept, and gradients."""
    model = _model(runner)
    parameters = dict(model.named_parameters())
    for name, gradient in mine["gradients"].items():
        parameters[name].grad = gradient.to(parameters[name].device)
    _put_back(dict(model.named_modules()), mine["modules"], next(iter(parameters.values())).device)


def _gradients(runner: Any) -> dict[str, torch.Tensor]:
    """Gradients that wait for an update."""
    if all(wrapper.should_update() for wrapper in _wrappers(runner)):
        return {}
    named = _model(runner).named_parameters()
    return {name: value.grad.cpu().clone() for name, value in named if value.grad is not None}


def _accumulates(runner: Any) -> bool:
    return any(wrapper._accumulative_counts > 1 for wrapper in _wrappers(runner))


def _wrappers(runner: Any) -> list[Any]:
    """The optimiser's wrapper, or those of a dictionary of optimisers."""
    wrapper = runner.optim_wrapper
    wrappers = list(wrapper.values()) if hasattr(wrapper, "values") else [wrapper]
    return [each for each in wrappers if hasattr(each, "_accumulative_counts")]


def owners(thing: Any) -> list[tuple[Any, str]]:
    """List what a module or hook keeps: whose attribute it is, and which."""
    return [_owner(thing, path) for path in _paths(thing)]


def _paths(thing: Any) -> list[str]:
    kinds = {kind.__name__ for kind in type(thing).__mro__}
    return [path for kind in HELD if kind in kinds for path in HELD[kind] if _has(thing, path)]


def _has(thing: Any, path: str) -> bool:
    first, _, rest = path.partition(".")
    return hasattr(thing, first) and (not rest or _has(getattr(thing, first), rest))


def _owner(thing: Any, path: str) -> tuple[Any, str]:
    *between, attribute = path.split(".")
    for name in between:
        thing = getattr(thing, name)
    return thing, attribute


def _hooks(runner: Any) -> dict[str, Any]:
    """Name the hooks that keep something, whatever others there are."""
    keeping = [hook for hook in runner.hooks if _paths(hook)]
    return {f"{number}.{type(hook).__name__}": hook for number, hook in enumerate(keeping)}


def _kept(things: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Read what modules or hooks keep, by their names."""
    paths = {name: _paths(thing) for name, thing in things.items()}
    return {
        name: {path: _plain(getattr(*_owner(things[name], path))) for path in paths[name]}
        for name in paths
        if paths[name]
    }


def _put_back(things: dict[str, Any], kept: dict[str, dict[str, Any]], device: Any = None) -> None:
    for name, values in kept.items():
        for path in values.keys() & set(_paths(things.get(name))):
            value = values[path]
            setattr(
                *_owner(things[name], path), value.to(device) if isinstance(value, torch.Tensor) else value
            )


def _plain(value: Any) -> Any:
    """The same as a checkpoint holds it: tensors on the CPU, numbers of Python."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(each) for each in value)
    return value


def _model(runner: Any) -> nn.Module:
    model: nn.Module = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return model
