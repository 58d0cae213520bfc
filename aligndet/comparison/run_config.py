"""One fine-tune run as an mmengine config: the stock config with data, schedule, seed and start put in."""

import copy
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from aligndet.common.config_text import sections
from aligndet.common.configs import add_imports, read_config
from aligndet.common.errors import InputError
from aligndet.common.labels.reader import class_names, read_labels
from aligndet.comparison.settings import EvalSet, Settings
from aligndet.scopes import default_scope
from aligndet.training.finite import PATIENCE
from aligndet.transfer.finetune import point_dataset, set_num_classes


def base_config(settings: Settings) -> tuple[Config, tuple[str, ...]]:
    """Read the fine-tune config, and put in the user's options and the data's class number.

    Returns:
        The config and the class names.

    Raises:
        InputError: the config has no detector with classes, or the annotation files disagree on classes.
    """
    config = read_config(settings.config, settings.cfg_options)
    config.merge_from_dict(settings.cfg_options)
    sets = (settings.train, settings.report, settings.tune)
    classes = class_names(*(read_labels(data.annotations) for data in sets))
    for key in ("model", "train_dataloader", "val_dataloader", "optim_wrapper"):
        if not config.get(key):  # None, too: a config that never validates
            raise InputError(f"{settings.config}: no {key!r}; give a whole fine-tune config")
    add_imports(config, settings.imports)
    if not set_num_classes(config.model, len(classes)):
        raise InputError(f"{settings.config}: no 'num_classes' in 'model'; is it a detector with classes?")
    if settings.freeze_backbone and "backbone" not in config.model:
        raise InputError(f"{settings.config}: 'model' has no 'backbone'; leave --freeze-backbone out")
    return config, classes


def schedulers(iters: int, schedule: str) -> list[dict[str, Any]]:
    """Schedule a warm-up over the first tenth (at most 500 iterations), then ``step`` or ``cosine``."""
    warm = max(1, min(500, iters // 10))
    warm_up = {"type": "LinearLR", "start_factor": 0.01, "by_epoch": False, "begin": 0, "end": warm}
    if schedule == "cosine":
        return [
            warm_up,
            {
                "type": "CosineAnnealingLR",
                "by_epoch": False,
                "begin": warm,
                "end": iters,
                "T_max": iters - warm,
                "eta_min": 0,
            },
        ]
    steps = [iters * 2 // 3, iters * 8 // 9]
    return [
        warm_up,
        {
            "type": "MultiStepLR",
            "by_epoch": False,
            "begin": 0,
            "end": iters,
            "milestones": steps,
            "gamma": 0.1,
        },
    ]


def _evaluation(
    config: Config, settings: Settings, data: EvalSet, classes: tuple[str, ...]
) -> dict[str, Any]:
    """A data loader that predicts on ``data``, batched as training is."""
    loader: dict[str, Any] = copy.deepcopy(config.val_dataloader)
    point_dataset(loader, data.annotations, data.images, classes, default_scope(config))
    loader["dataset"]["test_mode"] = True
    loader.update(num_workers=settings.loaders, persistent_workers=settings.loaders > 0)
    loader["batch_size"] = config.train_dataloader.batch_size
    return loader


def run_config(
    base: Config,
    classes: tuple[str, ...],
    settings: Settings,
    train: Path,
    iters: int,
    lr: float,
    seed: int,
    checkpoint: Path | None,
    eval_sets: dict[str, EvalSet],
) -> Config:
    """Everything that one run needs, as a config that mmdet's own train tool also runs.

    Evaluation happens after training; ``compare_eval`` holds one data loader per evaluation set.
    """
    config = Config(ConfigDict(copy.deepcopy(sections(base))))
    loader = config.train_dataloader
    point_dataset(loader, train, settings.train.images, classes, default_scope(config))
    loader.batch_size = settings.batch or loader.batch_size
    loader.update(num_workers=settings.loaders, persistent_workers=settings.loaders > 0)
    loader.sampler = {"type": "InfiniteSampler", "shuffle": True, "seed": seed}
    config.compare_eval = {
        name: _evaluation(config, settings, data, classes) for name, data in eval_sets.items()
    }
    for part in ("val", "test"):
        for key in (f"{part}_dataloader", f"{part}_evaluator", f"{part}_cfg"):
            config[key] = None
    config.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": iters, "val_interval": iters}
    config.param_scheduler = schedulers(iters, settings.schedule)
    config.optim_wrapper.optimizer.lr = lr
    config.randomness = {"seed": seed, "deterministic": False}
    config.load_from = str(checkpoint.resolve()) if checkpoint else None
    config.resume = False
    config.pop("auto_scale_lr", None)
    config.compare_freeze_backbone = settings.freeze_backbone
    if settings.nan_patience != PATIENCE:  # else it decides nothing, and is no part of the run's key
        config.compare_nan_patience = settings.nan_patience
    _set_runtime(config, iters, settings)
    return config


def _set_runtime(config: Config, iters: int, settings: Settings) -> None:
    """Set hooks and log for a run by iterations that keeps one resumable checkpoint."""
    every = settings.save_every or max(25, iters // 4)
    hooks = config.setdefault("default_hooks", {})
    hooks["logger"] = {"type": "LoggerHook", "interval": max(1, min(20, iters)), "log_metric_by_epoch": False}
    hooks["checkpoint"] = {
        "type": "CheckpointHook",
        "by_epoch": False,
        "interval": every,
        "max_keep_ckpts": 1,
    }
    config.log_processor = {"type": "LogProcessor", "window_size": 20, "by_epoch": False}
    config.default_scope = default_scope(config)
