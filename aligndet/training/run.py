"""From a config to a training run, with the meaning that mmdet's train tool gives its flags."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from aligndet.common.console import Console
from aligndet.common.errors import InputError
from aligndet.common.modules import unregistered
from aligndet.common.newest_checkpoint import noted_checkpoint
from aligndet.common.notices import warnings_of_a_run
from aligndet.image_domain.normalisation import check_normalisation
from aligndet.scopes import scope_of
from aligndet.training.config import load_config, wrap_config
from aligndet.training.cpu import without_gpu
from aligndet.training.finite import PATIENCE
from aligndet.training.length import StopAfter, cap
from aligndet.training.progress import ProgressHook
from aligndet.training.runner import runner_of
from aligndet.training.started import alone_in, join, was_started_again
from aligndet.training.strict import check_files, check_own_arguments

__all__ = ["TrainResult", "build_runner", "check_config", "load_config", "train", "wrap_config"]

#: What a mistake in a config raises where model, data and optimiser are built.
MISTAKES = (KeyError, TypeError, ValueError, FileNotFoundError, AttributeError, ImportError, AssertionError)


@dataclass(frozen=True)
class TrainResult:
    """What a training run left behind.

    Attributes:
        work_dir: folder of logs and checkpoints.
        checkpoint: the latest one in it; None where the run wrote none.
        iters: steps that the model has made, those before a resume too.
        first, last: scalars (losses, lr, ...) of the first and the last step that this run logged.
        seconds: that this run took.
        metrics: scalars of the last validation.
        warnings: what was told to be wrong, though the run went on.
    """

    work_dir: Path
    checkpoint: Path | None
    iters: int
    first: dict[str, float]
    last: dict[str, float]
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def train(
    config: Config,
    amp: str | None = None,
    auto_scale_lr: bool = False,
    resume: str | None = None,
    max_iters: int | None = None,
    console: Console | None = None,
    nan_patience: int = PATIENCE,
) -> TrainResult:
    """Run a config.

    Args:
        config: complete, with ``work_dir``; is changed to what is run.
        amp: None, ``float16`` (with dynamic loss scaling) or ``bfloat16``.
        auto_scale_lr: scale the learning rate by ``auto_scale_lr.base_batch_size``.
        resume: a checkpoint, ``auto`` for the newest readable one in the work dir, or None. A
            job that torchrun or slurm starts again goes on from the newest, where there is one.
        max_iters: stop after so many steps, whatever the config says.
        console: tells the progress; None tells nobody (but see :mod:`aligndet.training.progress`).
        nan_patience: steps in a row that may be not finite; none of them is applied.

    Raises:
        InputError: the config or an argument is wrong, see :func:`build_runner`; another run works in the
            work dir.
        Stopped: a signal asked the run to end; it is saved.
        DivergedError: patience is at its end, or the weights are not finite.
    """
    begin = time.monotonic()
    with alone_in(Path(config.work_dir)), warnings_of_a_run() as told, scope_of(config):
        runner = build_runner(
            config,
            amp=amp,
            auto_scale_lr=auto_scale_lr,
            resume=resume,
            max_iters=max_iters,
            nan_patience=nan_patience,
        )
        progress = _run(runner, console or Console(quiet=True), max_iters)
    latest = noted_checkpoint(Path(config.work_dir))
    return TrainResult(
        work_dir=Path(config.work_dir),
        checkpoint=latest,
        iters=runner.iter,
        first=progress.first,
        last=progress.last,
        seconds=time.monotonic() - begin,
        metrics=progress.metrics,
        warnings=tuple(told),
    )


def _run(runner: Runner, console: Console, max_iters: int | None) -> ProgressHook:
    """Run, and give the hook that kept the scalars."""
    logger = (runner.cfg.get("default_hooks") or {}).get("logger") or {}
    interval = logger.get("interval", 10)
    progress = ProgressHook(console, interval, max_iters)
    runner.register_hook(progress)
    error: BaseException | None = None
    try:
        runner.train()
    except BaseException as raised:
        error = raised
        raise
    finally:
        progress.close(error)
    return progress


def build_runner(
    config: Config,
    *,
    amp: str | None = None,
    auto_scale_lr: bool = False,
    resume: str | None = None,
    max_iters: int | None = None,
    nan_patience: int = PATIENCE,
) -> Runner:
    """Check a config and build its runner with model and data; arguments as :func:`train`.

    Raises:
        InputError: as :func:`check_config`; ``amp`` asked without a GPU; ``auto_scale_lr`` asked of a config
            that does not know its base batch size; model or data cannot be built; the data give no batch.
    """
    check_config(config)
    _apply(config, amp, auto_scale_lr, resume)
    if max_iters:
        cap(config, max_iters)
    if not torch.cuda.is_available():
        without_gpu(config)
    elif config.get("launcher") == "pytorch" and was_started_again():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        join((config.get("env_cfg") or {}).get("dist_cfg", {}).get("backend", "nccl"))
    try:
        goes_on = resume == "auto" or was_started_again()
        runner = runner_of(config, goes_on, nan_patience)
        images = runner.train_loop.dataloader
        if isinstance(runner, Runner):  # others build it with the model, in their strategy
            runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    except InputError:
        raise
    except MISTAKES as error:
        raise InputError(f"config: {_reason(error)}") from error
    _refuse_no_batch(images, config)
    if max_iters:
        runner.register_hook(StopAfter(max_iters))
    return runner


def check_config(config: Config) -> None:
    """Check what can be checked before anything is built.

    Raises:
        InputError: a key is missing, an argument is nobody's, or a file of weights is not there.
        NormalisationError: a checkpoint that the model starts from had its images normalised otherwise
            (:func:`aligndet.image_domain.normalisation.check_normalisation`).
    """
    _require(config, "model")
    check_own_arguments(dict(config.items()))
    check_files(dict(config.items()))
    check_normalisation(config)
    _require(config, "train_dataloader", "train_cfg", "optim_wrapper")


def _require(config: Config, *keys: str) -> None:
    for key in keys:
        if not config.get(key):
            raise InputError(f"config {config.filename}: it has no {key}; give a config that trains a model")


def _apply(config: Config, amp: str | None, auto_scale_lr: bool, resume: str | None) -> None:
    """Write the flags into the config, and the seed 0 where it has none."""
    randomness = config.get("randomness") or {}
    if randomness.get("seed") is None:
        config.randomness = {**randomness, "seed": 0}
    if amp and not torch.cuda.is_available():
        raise InputError("--amp: mmengine's AmpOptimWrapper needs a GPU, and torch sees none; leave it out")
    if amp:
        config.optim_wrapper.type = "AmpOptimWrapper"
        config.optim_wrapper.dtype = amp
        if amp == "float16":
            config.optim_wrapper.loss_scale = "dynamic"
    if auto_scale_lr:
        if "base_batch_size" not in config.get("auto_scale_lr", {}):
            raise InputError("--auto-scale-lr: the config has no auto_scale_lr.base_batch_size; add it")
        config.auto_scale_lr.enable = True
    if resume and resume != "auto":
        if "://" not in resume and not Path(resume).is_file():
            raise InputError(f"--resume {resume}: no such checkpoint")
        config.resume, config.load_from = True, resume


def _refuse_no_batch(loader: Any, config: Config) -> None:
    if len(loader) == 0:
        raise InputError(
            f"train_dataloader gives no batch: {len(loader.dataset)} images are fewer than "
            f"batch_size={config.train_dataloader.batch_size}, and drop_last is set; lower batch_size"
        )


def _reason(error: BaseException) -> str:
    """Why something could not be built, in one line."""
    if known := unregistered(error):
        return known
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    return f"{type(error).__name__}: {next(iter(text.strip().splitlines()), '')}"
