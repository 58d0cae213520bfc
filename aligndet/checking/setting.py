"""What a check changes in a wrapped config: it is made small, quick and needs no network. The path stays."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from aligndet.box_domain.recipe.lookup import name_of
from aligndet.transfer.stock import without_downloads

#: Options of a loader that torch refuses where there are no workers.
OF_WORKERS = ("prefetch_factor", "multiprocessing_context", "timeout")
#: Images of a batch, at most.
BATCH = 2
#: Steps of a batch augmentation that fill images up to, or bring them to, a size in pixels.
BATCH_SIZES = {"BatchFixedSizePad": "size", "BatchResize": "scale"}
LEAST_SCALE = 16  # pixels; smaller numbers under ``scale`` are factors


def setting(wrapped: Config, work_dir: Path, size: int | None, zoo: bool = False) -> Config:
    """Copy a wrapped config for a check.

    Weights that would be downloaded are left out, nothing is sent to a tracker, images are loaded in this
    process, a batch has at most two, and the optimiser's state is not in the checkpoint.

    Args:
        wrapped: as ``wrap_config`` gives it.
        work_dir: for logs and the checkpoint.
        size: short side of the largest view, pixels; every size of views and of filled batches shrinks by
            the same factor. None leaves sizes as they are.
        zoo: the config is one of mmdet's own, whose files of weights are not on this machine either.
    """
    config = copy.deepcopy(wrapped)
    config.work_dir = str(work_dir)
    if zoo:
        config.model = without_downloads(config.model)
    without_network(config.model)
    config.visualizer = {"type": "mmengine.Visualizer", "vis_backends": None}
    loader = config.train_dataloader
    loader.update(num_workers=0, persistent_workers=False)
    if isinstance(loader.get("batch_size"), int):
        loader.batch_size = min(loader.batch_size, BATCH)
    for option in OF_WORKERS:
        loader.pop(option, None)
    hooks = config.setdefault("default_hooks", {})
    hooks["checkpoint"] = {**(hooks.get("checkpoint") or {}), "save_optimizer": False}
    if size is not None:
        shrink(config, size)
    return config


def shrink(config: Config, size: int) -> None:
    """Make views of at most ``size`` pixels on the short side, in place, and filled batches to match."""
    resizes = [step for step in _dicts(config.train_dataloader.dataset.get("pipeline")) if _scales(step)]
    largest = max((min(scale) for step in resizes for scale in _scales(step)), default=0)
    if not largest:
        return
    for step in resizes:
        chosen = _smaller(max(_scales(step), key=min), size / largest)
        if "scales" in step:
            step["scales"] = [chosen]
        else:
            step["scale"] = chosen if isinstance(step["scale"], (list, tuple)) else chosen[0]
    for step in _dicts(config.model):
        key = BATCH_SIZES.get(name_of(step), "")
        if _sides(step.get(key)):
            step[key] = _smaller(_sides(step[key]), size / largest)


def without_network(node: Any) -> None:
    """Take out of a model config, in place, what would download weights; files of this machine stay."""
    if isinstance(node, dict):
        remote = [key for key, value in node.items() if _is_remote(key, value)]
        plain = without_downloads(node) if remote else {}
        for key in remote:
            if key in plain:
                node[key] = plain[key]
            else:
                node.pop(key)
        node = list(node.values())
    for value in node if isinstance(node, (list, tuple)) else ():
        without_network(value)


def _is_remote(key: str, value: Any) -> bool:
    """Whether an option makes its module fetch weights."""
    if key == "init_cfg":
        return any("://" in str(rule.get("checkpoint")) for rule in _dicts(value))
    return (isinstance(value, str) and "://" in value) or (key == "pretrained" and value is True)


def _dicts(node: Any) -> Iterator[Any]:
    """All dicts in a part of a config, itself included."""
    if isinstance(node, Mapping):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from _dicts(value)


def _scales(step: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """The sizes in pixels that a transform resizes to."""
    given = step.get("scales") if "scales" in step else [step.get("scale")]
    return [sides for scale in given or [] if (sides := _sides(scale))] if "type" in step else []


def _sides(scale: Any) -> tuple[int, ...]:
    """A size in pixels as a tuple; empty where it is none."""
    sides = tuple(scale) if isinstance(scale, (list, tuple)) else (scale, scale)
    return sides if all(isinstance(side, int) and side >= LEAST_SCALE for side in sides) else ()


def _smaller(sides: tuple[int, ...], factor: float) -> tuple[int, ...]:
    return tuple(max(1, round(side * factor)) for side in sides)
