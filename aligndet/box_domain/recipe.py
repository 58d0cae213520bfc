"""From any stock mmdet config to a complete pre-training config of its detector.

Schedules and optimisers are the paper's by family (docs/method.md): SGD and 12 epochs for CNN heads, AdamW
and 50 epochs for set predictors; AdamW where the stock config trains with it (Swin). All for 16 images.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from aligndet.box_domain.adapters import Adapter, adapter_for
from aligndet.common.configs import read_config
from aligndet.proposals.formats import read_proposals

#: Short sides of views, as parts of the largest: 640 to 800 pixels in the paper.
SIDES = (0.8, 0.84, 0.88, 0.92, 0.96, 1.0)
#: Keys of a stock config that any run needs and that pre-training takes over.
RUNTIME = (
    *("default_scope", "env_cfg", "vis_backends", "visualizer", "log_processor", "log_level"),
    *("custom_imports", "backend_args", "randomness"),
)
TWO_VIEWS = Path(__file__).parents[1] / "configs" / "_base_" / "two_views.py"


def pretraining_config(stock: Config, proposals: str, images: str) -> Config:
    """Wrap the detector of a stock config for box-domain pre-training.

    Args:
        stock: an mmdet config with ``model``.
        proposals: file or store of ``tools/make_proposals.py``.
        images: folder that the proposals' file names are relative to.

    Returns:
        a config that runs as it is, stays valid when dumped, and can be edited.

    Raises:
        ValueError: the config has no model, or one that cannot be served.
        FileNotFoundError: no such proposals.
    """
    if "model" not in stock:
        raise ValueError(f"{stock.filename}: no model in this config; give one that trains a detector.")
    kind = adapter_for(ConfigDict(stock.model))
    num_clusters = max(1, read_proposals(proposals).num_clusters)
    config = {key: copy.deepcopy(stock[key]) for key in RUNTIME if key in stock}
    model = {"type": "aligndet.BoxDomainPretrainer", "detector": copy.deepcopy(stock.model)}
    if num_clusters > 1:
        model["num_clusters"] = num_clusters
    config.update(
        model=model,
        train_dataloader=_data(stock, kind, proposals, images),
        find_unused_parameters=True,  # some heads of the zoo leave a layer out, depending on the batch
        auto_scale_lr={"enable": False, "base_batch_size": 16},
        custom_hooks=[{"type": "aligndet.MomentumHook", "base": 0.996}],
        default_hooks=_hooks(stock),
        load_from=None,
        resume=False,
        **_schedule(stock, kind),
    )
    return Config(config)


def _data(stock: Config, kind: type[Adapter], proposals: str, images: str) -> dict[str, Any]:
    """The two-view data of configs/_base_/two_views.py, with this detector's batch and image sizes."""
    loader = copy.deepcopy(read_config(str(TWO_VIEWS)).train_dataloader)
    own = stock.get("train_dataloader", {})
    loader.batch_size = own.get("batch_size", loader.batch_size)
    loader.num_workers = own.get("num_workers", loader.num_workers)
    loader.persistent_workers = loader.num_workers > 0
    loader.dataset.ann_file, loader.dataset.data_prefix = str(proposals), {"img": str(images)}
    for step in loader.dataset.pipeline:
        if step.type == "aligndet.SampleProposals":
            step.num = kind.PROPOSALS
        for view in ("online", "momentum"):
            if view in step:
                step[view][0] = _resize(stock)
    return loader


def _resize(stock: Config) -> dict[str, Any]:
    """A random size up to the one that the detector is tested at."""
    for step in _steps(stock.get("test_dataloader", {}).get("dataset", {}).get("pipeline", [])):
        if str(step.get("type")).endswith("Resize") and isinstance(step.get("scale"), (tuple, list)):
            long, short = max(step["scale"]), min(step["scale"])
            if not step.get("keep_ratio"):
                return {"type": "Resize", "scale": tuple(step["scale"]), "keep_ratio": False}
            break
    else:
        print_log("no Resize with a scale in test_dataloader: views are made at 1333 x 800 px", "current")
        long, short = 1333, 800
    square = long == short
    scales = [(round(long * side) if square else long, round(short * side)) for side in SIDES]
    return {"type": "RandomChoiceResize", "scales": scales, "keep_ratio": True}


def _steps(pipeline: Any) -> Iterator[dict[str, Any]]:
    """All transforms of a pipeline, nested ones too."""
    for step in pipeline if isinstance(pipeline, (list, tuple)) else ():
        if isinstance(step, dict):
            yield step
            yield from _steps(step.get("transforms"))
        else:
            yield from _steps(step)


def _schedule(stock: Config, kind: type[Adapter]) -> dict[str, Any]:
    own = stock.get("optim_wrapper", {}).get("optimizer", {}).get("type", "SGD")
    if kind.TRANSFORMER:
        optimizer = {"type": "AdamW", "lr": kind.LR, "weight_decay": 1e-4}
        epochs, milestones, warmup, clip = 50, [40], 0, 0.1
    elif str(own).startswith("Adam"):
        optimizer = {"type": "AdamW", "lr": 1e-4, "weight_decay": 0.05}
        epochs, milestones, warmup, clip = 12, [8, 11], 1000, 35
    else:
        optimizer = {"type": "SGD", "lr": kind.LR, "momentum": 0.9, "weight_decay": 1e-4}
        epochs, milestones, warmup, clip = 12, [8, 11], 500, 35
    steps = {"type": "MultiStepLR", "begin": 0, "end": epochs, "by_epoch": True}
    schedulers = [{**steps, "milestones": milestones, "gamma": 0.1}]
    if warmup:
        ramp = {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": warmup}
        schedulers.insert(0, ramp)
    return {
        "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": epochs},
        "optim_wrapper": {
            "type": "OptimWrapper",
            "optimizer": optimizer,
            "clip_grad": {"max_norm": clip, "norm_type": 2},
        },
        "param_scheduler": schedulers,
    }


def _hooks(stock: Config) -> dict[str, Any]:
    """mmdet's default hooks; checkpoints by epoch, of which the last two stay."""
    hooks = copy.deepcopy(dict(stock.get("default_hooks", {})))
    hooks["checkpoint"] = {"type": "CheckpointHook", "interval": 1, "max_keep_ckpts": 2}
    hooks.pop("visualization", None)
    return hooks
