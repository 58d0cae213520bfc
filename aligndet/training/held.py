"""What a checkpoint of mmengine leaves out and the next step needs, of every process.

Between two steps of the optimiser these are the gradients gathered so far. And a few modules keep in Python
what they learn from step to step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.dist import gather_object, get_rank, get_world_size
from mmengine.model import is_model_wrapper
from torch import nn

from aligndet.common.notices import warn

KEY = "of_processes"
#: Classes of modules, and what they keep outside of parameters and buffers.
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
}


def gather(runner: Any) -> list[dict[str, Any]] | None:
    """Gather it from all processes, on each of which this must be called; None where there is none of it.

    Returns:
        For each process ``gradients`` and ``modules``, by name; the main process has them all.
    """
    gradients, modules = _gradients(runner), dict(_modules(runner))
    if not modules and not _accumulates(runner):
        return None
    mine = {"gradients": gradients, "modules": modules}
    return gather_object(mine, dst=0) if get_world_size() > 1 else [mine]


def restore(runner: Any, kept: list[dict[str, Any]]) -> None:
    """Put back what :func:`gather` gave, this process's own."""
    if len(kept) != get_world_size():
        warn(
            f"the checkpoint is of a run on {len(kept)} processes, this one has {get_world_size()}: "
            "gradients gathered since the last update, and what modules keep, begin anew"
        )
        return
    mine, model = kept[get_rank()], _model(runner)
    parameters = dict(model.named_parameters())
    for name, gradient in mine["gradients"].items():
        parameters[name].grad = gradient.to(parameters[name].device)
    device = next(iter(parameters.values())).device
    submodules = dict(model.named_modules())
    for name, values in mine["modules"].items():
        for path, value in values.items():
            owner, attribute = _owner(submodules[name], path)
            setattr(owner, attribute, value.to(device) if isinstance(value, torch.Tensor) else value)


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


def _modules(runner: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, module in _model(runner).named_modules():
        paths = _paths(module)
        if paths:
            yield name, {path: _plain(getattr(*_owner(module, path))) for path in paths}


def owners(module: nn.Module) -> list[tuple[Any, str]]:
    """List what a module keeps outside of parameters and buffers: whose attribute it is, and which."""
    return [_owner(module, path) for path in _paths(module)]


def _paths(module: nn.Module) -> list[str]:
    kinds = {kind.__name__ for kind in type(module).__mro__}
    return [path for kind, paths in HELD.items() if kind in kinds for path in paths]


def _owner(module: Any, path: str) -> tuple[Any, str]:
    *owners, attribute = path.split(".")
    for name in owners:
        module = getattr(module, name)
    return module, attribute


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
