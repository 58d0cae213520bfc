"""Run configs that were written for GPUs on a machine without one."""

from __future__ import annotations

import atexit
import inspect
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.optim import AmpOptimWrapper
from mmengine.registry import MODEL_WRAPPERS, OPTIM_WRAPPERS
from torch import nn

from aligndet.common.notices import warn
from aligndet.training.started import join


def without_gpu(config: Config) -> None:
    """Take from a config, in place, what a CPU cannot do: mixed precision, NCCL."""
    kind = config.optim_wrapper.get("type")
    if isinstance(kind, str):
        kind = OPTIM_WRAPPERS.get(kind)
    if inspect.isclass(kind) and issubclass(kind, AmpOptimWrapper):
        warn(f"no GPU: trained in full precision, though the config asks for {kind.__name__}")
        config.optim_wrapper.type = "OptimWrapper"
        for key in ("dtype", "loss_scale", "use_fp64"):
            config.optim_wrapper.pop(key, None)
    if config.get("launcher") == "pytorch":
        _processes_without_gpu(config)


def _processes_without_gpu(config: Config) -> None:
    """Join processes over gloo and wrap without device ids; mmengine takes CUDA for granted in both."""
    join("gloo")
    atexit.register(_leave)
    unused = config.get("find_unused_parameters", False)
    wrapper = {"type": "DistributedOnCPU", "broadcast_buffers": False, "find_unused_parameters": unused}
    config.setdefault("model_wrapper_cfg", wrapper)


def _leave() -> None:
    """Leave the group, because gloo's threads abort a process that ends before them."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@MODEL_WRAPPERS.register_module()
class DistributedOnCPU(MMDistributedDataParallel):
    """DDP without devices. Torch has SyncBN for GPUs only: here each process normalises by its own batch."""

    def __init__(self, module: nn.Module, **options: Any) -> None:
        options["device_ids"] = None
        super().__init__(revert_sync_batchnorm(module), **options)
