"""From a config to a training run, with the meaning that mmdet's train tool gives its flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS, RUNNERS
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings
from torch import nn

from aligndet.box_domain.recipe import pretraining_config
from aligndet.common.configs import read_config
from aligndet.common.files import write_text
from aligndet.image_domain.normalisation import check_normalisation


def load_config(path: str, options: dict[str, Any] | None = None) -> Config:
    """Read a config and merge options into it.

    A pre-trainer's ``detector`` that names a config (``'mmdet::…'`` or a file) is replaced by that config's
    model, so that the dumped config and the checkpoint are complete.

    Args:
        path: a file, or ``'mmdet::…'``.
        options: dotted keys and values, as mmdet's ``--cfg-options``.

    Raises:
        FileNotFoundError: no such config.
    """
    config = read_config(path)
    model: Any = config.get("model") or {}
    if isinstance(model.get("detector"), str):
        model.detector = read_config(model.detector).model
    config.merge_from_dict(options or {})
    return config


def wrap_config(
    path: str, proposals: str, images: str, out: Path, options: dict[str, Any] | None = None
) -> Config:
    """Write the pre-training config of a stock config's detector, see :mod:`aligndet.box_domain.recipe`.

    Args:
        path: of the stock config.
        proposals: file or store.
        images: their folder.
        out: file to write, atomically: every process of a distributed run writes the same.
        options: as :func:`load_config`, merged into the generated config.

    Returns:
        the config, read back from ``out``.
    """
    stock = read_config(path)
    if "custom_imports" in stock:
        import_modules_from_strings(**stock.custom_imports)
    register_all_modules(init_default_scope=True)
    config = pretraining_config(stock, proposals, images)
    config.merge_from_dict(options or {})
    write_text(out, config.pretty_text)
    return Config.fromfile(out)


def train(
    config: Config, amp: str | None = None, auto_scale_lr: bool = False, resume: str | None = None
) -> nn.Module:
    """Run a config.

    Args:
        config: complete, with ``work_dir``.
        amp: None, ``float16`` (with dynamic loss scaling) or ``bfloat16``.
        auto_scale_lr: scale the learning rate by ``auto_scale_lr.base_batch_size``.
        resume: a checkpoint, ``auto`` for the latest in the work dir, or None.

    Returns:
        the trained model.

    Raises:
        ValueError: ``amp`` asked without a GPU; ``auto_scale_lr`` asked of a config that does not know its
            base batch size; or the data give no batch at all.
        NormalisationError: a checkpoint that the model starts from had its images normalised otherwise
            (:func:`aligndet.image_domain.normalisation.check_normalisation`).
    """
    check_normalisation(config)
    if amp and not torch.cuda.is_available():
        raise ValueError("--amp: mmengine's AmpOptimWrapper needs a GPU, and torch sees none. Leave it out.")
    if amp:
        config.optim_wrapper.type = "AmpOptimWrapper"
        config.optim_wrapper.dtype = amp
        if amp == "float16":
            config.optim_wrapper.loss_scale = "dynamic"
    if auto_scale_lr:
        if "base_batch_size" not in config.get("auto_scale_lr", {}):
            raise ValueError("--auto-scale-lr: the config has no auto_scale_lr.base_batch_size; add it.")
        config.auto_scale_lr.enable = True
    if resume:
        config.resume = True
        config.load_from = None if resume == "auto" else resume
    if not torch.cuda.is_available():
        _without_gpu(config)
    runner = RUNNERS.build(config) if "runner_type" in config else Runner.from_cfg(config)
    if len(runner.train_loop.dataloader) == 0:
        raise ValueError(
            f"train_dataloader gives no batch: {len(runner.train_loop.dataloader.dataset)} images are fewer "
            f"than batch_size={config.train_dataloader.batch_size}, and drop_last is set. Lower batch_size."
        )
    return runner.train()


def _without_gpu(config: Config) -> None:
    """What a config written for GPUs asks and a CPU cannot: mixed precision, NCCL."""
    if config.optim_wrapper.get("type") == "AmpOptimWrapper":
        print_log("no GPU: trained in full precision, though the config asks for AmpOptimWrapper", "current")
        config.optim_wrapper.type = "OptimWrapper"
        for key in ("dtype", "loss_scale", "use_fp64"):
            config.optim_wrapper.pop(key, None)
    if config.get("launcher") == "pytorch":
        _processes_without_gpu(config)


def _processes_without_gpu(config: Config) -> None:
    """Join processes over gloo and wrap without device ids; mmengine takes CUDA for granted in both."""
    torch.distributed.init_process_group("gloo")
    unused = config.get("find_unused_parameters", False)
    wrapper = {"type": "DistributedOnCPU", "broadcast_buffers": False, "find_unused_parameters": unused}
    config.setdefault("model_wrapper_cfg", wrapper)


@MODEL_WRAPPERS.register_module()
class DistributedOnCPU(MMDistributedDataParallel):
    """DDP without devices. Torch has SyncBN for GPUs only: here each process normalises by its own batch."""

    def __init__(self, module: nn.Module, **options: Any) -> None:
        options["device_ids"] = None
        super().__init__(revert_sync_batchnorm(module), **options)
