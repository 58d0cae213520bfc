"""What the recipe has no reason to change is in the pre-training config as the user's config has it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook, Hook
from mmengine.registry import HOOKS, OPTIMIZERS
from torch import nn

from aligndet.box_domain.recipe import building_blocks
from aligndet.common.errors import InputError
from tests.box_domain.project import LOAD, PACK, loader, project, wrap
from tests.small import detector

PARAMWISE = {"norm_decay_mult": 0.0, "custom_keys": {"neck": {"lr_mult": 0.1}}}


@OPTIMIZERS.register_module()
class OwnAdam(torch.optim.AdamW):
    """A project's, known by its base alone."""


@OPTIMIZERS.register_module()
class OwnRate(torch.optim.Rprop):
    """Of no family that the recipe has a rate for."""


@HOOKS.register_module()
class OwnAverage(EMAHook):
    """Known by its base alone."""


@HOOKS.register_module()
class OwnTally(Hook):
    """Counts steps."""

    def after_train_iter(self, *args: Any, **kwargs: Any) -> None:
        """Count."""


@HOOKS.register_module()
class OwnPicture(Hook):
    """Works in validation only."""

    def after_val_iter(self, *args: Any, **kwargs: Any) -> None:
        """Draw."""


def wrapper(kind: Any, **options: Any) -> dict[str, Any]:
    return {"type": "OptimWrapper", "optimizer": {"type": kind, "lr": 0.123, **options}}


@pytest.mark.parametrize(
    ("kind", "rate"),
    [
        ("SGD", 0.01),
        (torch.optim.SGD, 0.01),
        ("AdamW", 1e-4),
        (torch.optim.AdamW, 1e-4),
        ("NAdam", 1e-4),
        ("OwnAdam", 1e-4),
        (OwnAdam, 1e-4),
        ("FusedAdam", 1e-4),  # of a library that is not installed
        ("OwnRate", 0.123),
        ("DAdaptAdam", 0.123),
        ("Lion", 0.123),
    ],
)
def test_the_optimiser_s_class_is_kept_and_decides_the_rate(kind: Any, rate: float, tmp_path: Path) -> None:
    """Kind: an optimiser given as a class, by a sub-class, or of no family of the recipe."""
    config, _ = wrap(tmp_path, project(optim_wrapper=wrapper(kind, eps=1e-5)))
    optimizer = config.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.eps) == (kind, rate, 1e-5)


def test_a_transformer_that_its_config_trains_by_sgd(tmp_path: Path) -> None:
    """Kind: SGD where the family's recipe has AdamW: the rate is SGD's, all else the family's."""
    model = detector("detr")
    sgd, _ = wrap(tmp_path, project(model=model, optim_wrapper=wrapper("SGD")))
    adam, _ = wrap(tmp_path, project(model=model, optim_wrapper=wrapper("AdamW")))
    assert (sgd.optim_wrapper.optimizer.type, sgd.optim_wrapper.optimizer.lr) == ("SGD", 0.01)
    assert (adam.optim_wrapper.optimizer.type, adam.optim_wrapper.optimizer.lr) == ("AdamW", 5e-5)
    assert sgd.train_cfg == adam.train_cfg


def test_a_rate_of_its_own_keeps_its_batch_size(tmp_path: Path) -> None:
    scale = {"enable": True, "base_batch_size": 256}
    config, _ = wrap(tmp_path, project(optim_wrapper=wrapper("Lion"), auto_scale_lr=scale))
    assert config.auto_scale_lr == scale
    config, _ = wrap(tmp_path, project(auto_scale_lr=scale))
    assert config.auto_scale_lr == {"enable": True, "base_batch_size": 16}, "the recipe's rate is for 16"


def test_the_wrapper_keeps_precision_accumulation_clip_and_rules(tmp_path: Path) -> None:
    """Kind: mixed precision, paramwise_cfg, an own constructor and gradient clipping of the project."""
    own = {
        **wrapper("AdamW", betas=(0.9, 0.98)),
        "type": "AmpOptimWrapper",
        "dtype": torch.bfloat16,
        "loss_scale": {"init_scale": 512.0},
        "accumulative_counts": 4,
        "clip_grad": {"max_norm": 0.5},
        "constructor": "LearningRateDecayOptimizerConstructor",
        "paramwise_cfg": PARAMWISE,
    }
    config, table = wrap(tmp_path, project(optim_wrapper=own))
    got = config.optim_wrapper
    assert (got.type, got.dtype, got.loss_scale) == ("AmpOptimWrapper", torch.bfloat16, {"init_scale": 512.0})
    assert (got.accumulative_counts, got.clip_grad) == (4, {"max_norm": 0.5})
    assert got.constructor == "aligndet.DetectorConstructor"
    assert got.paramwise_cfg == {**PARAMWISE, "constructor": own["constructor"]}
    assert got.optimizer.betas == (0.9, 0.98)
    assert table["optim_wrapper.optimizer: lr, weight_decay"][1] == (
        "the recipe's: lr 0.123 -> 0.0001, weight_decay not set -> 0.05"
    )


def test_several_optimisers_become_the_recipe_s_one_and_that_is_told(tmp_path: Path) -> None:
    """Kind: a project that trains parts by optimisers of their own, which one loss cannot step."""
    own = {"constructor": "X", "generator": wrapper("Adam"), "discriminator": wrapper("Adam")}
    config, table = wrap(tmp_path, project(optim_wrapper=own))
    assert config.optim_wrapper.optimizer.type == "SGD"
    assert set(config.optim_wrapper) == {"type", "optimizer", "clip_grad"}
    assert table["optim_wrapper"][0] == "replaced"


HOOKS_OF_A_PROJECT: list[tuple[dict[str, Any], bool]] = [
    ({"type": "OwnTally"}, True),
    ({"type": OwnTally}, True),
    ({"type": "NotRegisteredHere"}, True),
    ({"type": "mmdet.CheckInvalidLossHook", "interval": 3}, True),
    ({"type": "EmptyCacheHook", "priority": 49}, True),
    ({"type": "EMAHook"}, False),
    ({"type": OwnAverage}, False),
    ({"type": "EarlyStoppingHook", "monitor": "coco/bbox_mAP"}, False),
    ({"type": "YOLOXModeSwitchHook"}, False),
    ({"type": "PipelineSwitchHook", "switch_epoch": 2, "switch_pipeline": []}, False),
    ({"type": "NumClassCheckHook"}, False),
    ({"type": "OwnPicture"}, False),
]


def test_hooks_run_but_for_those_of_what_is_replaced(tmp_path: Path) -> None:
    """Kind: hooks of a project, by name and by class; each is kept, or left out by name with the reason."""
    given = [hook for hook, _ in HOOKS_OF_A_PROJECT]
    config, table = wrap(tmp_path, project(custom_hooks=given))
    ours, *theirs = config.custom_hooks
    assert ours.type == "aligndet.MomentumHook"
    assert theirs == [hook for hook, kept in HOOKS_OF_A_PROJECT if kept]
    for number, (hook, kept) in enumerate(HOOKS_OF_A_PROJECT):
        name = getattr(hook["type"], "__name__", str(hook["type"])).rpartition(".")[2]
        what, because = table[f"custom_hooks.{number} {name}"]
        assert (what == "kept") is kept
        assert bool(because) is not kept


def test_default_hooks_keep_all_but_schedule_and_checkpoints(tmp_path: Path) -> None:
    """Kind: a schedule inside of the param_scheduler hook, checkpoints by best score, own logging."""
    hooks = {
        "logger": {"type": "LoggerHook", "interval": 7},
        "param_scheduler": {"type": "OwnParamSchedulerHook", "lr_factor": 0.01},
        "checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 5000, "save_best": "auto"},
        "visualization": {"type": "DetVisualizationHook"},
        "tally": {"type": "OwnTally"},
    }
    config, table = wrap(tmp_path, project(default_hooks=hooks))
    got = config.default_hooks
    assert {"logger", "checkpoint", "tally"} == set(got)
    assert (got.logger.interval, got.tally.type) == (7, "OwnTally")
    assert (got.checkpoint.interval, got.checkpoint.get("by_epoch", True)) == (1, True)
    assert "save_best" not in got.checkpoint, "there is no score"
    assert table["default_hooks.param_scheduler OwnParamSchedulerHook"][0] == "left out"


def test_the_run_s_own_settings_and_variables_stay(tmp_path: Path) -> None:
    """Kind: keys that hooks read from ``runner.cfg``; what only made a part of a section is known as such."""
    own: dict[str, Any] = {
        "env_cfg": {"cudnn_benchmark": True},
        "log_processor": {"type": "LogProcessor", "window_size": 3},
        "sync_bn": "torch",
        "model_wrapper_cfg": {"type": "MMDistributedDataParallel", "static_graph": True},
        "randomness": {"seed": 5},
        "my_setting": {"for": ["my", "hook"]},
        "max_epochs": 3,  # of train_cfg
    }
    config, _ = wrap(tmp_path, project(**own))
    for key in ("env_cfg", "log_processor", "sync_bn", "randomness", "my_setting", "max_epochs"):
        assert config[key] == own[key], key
    assert config.model_wrapper_cfg.static_graph is True
    assert config.model_wrapper_cfg.find_unused_parameters is True, "a head may leave a layer out of a step"
    assert building_blocks(Config(project(**own))) == {"max_epochs"}


def test_the_data_loader_s_settings_stay(tmp_path: Path) -> None:
    own = {"pin_memory": True, "drop_last": True, "batch_sampler": None, "timeout": 5}
    config, _ = wrap(
        tmp_path, project(train_dataloader=loader([], **own, sampler={"type": "InfiniteSampler"}))
    )
    assert {key: config.train_dataloader[key] for key in own} == own
    assert config.train_dataloader.sampler.type == "DefaultSampler", "an epoch is each image once"


def test_groups_of_several_sources_are_replaced_and_told(tmp_path: Path) -> None:
    """Kind: several sources, whose batch sampler and sampler pick by source, in a list of loaders."""
    one = loader([], batch_sampler={"type": "MultiDataAspectRatioBatchSampler"}, collate_fn={"type": "own"})
    config, table = wrap(tmp_path, project(train_dataloader=[one, one]))
    assert config.train_dataloader.batch_sampler.type == "mmdet.AspectRatioBatchSampler"
    assert "collate_fn" not in config.train_dataloader
    for key in (
        "train_dataloader",
        "train_dataloader.collate_fn",
        "train_dataloader.batch_sampler MultiDataAspectRatioBatchSampler",
    ):
        assert table[key][0] == "replaced"


def test_a_preprocessor_beside_the_model_goes_into_the_detector(tmp_path: Path) -> None:
    """Kind: mmengine takes data_preprocessor from the top where the model has none."""
    model = project()["model"]
    beside = {**model.pop("data_preprocessor"), "mean": [1.0, 2.0, 3.0]}
    config, _ = wrap(tmp_path, project(model=model, data_preprocessor=beside))
    assert config.model.detector.data_preprocessor == beside
    assert "data_preprocessor" not in config, "mmengine would give it to the pre-trainer"


def test_a_model_is_what_it_was_with_classes_in_it(tmp_path: Path) -> None:
    """Kind: classes as values and as types in a model."""
    model = project()["model"]
    model.backbone.norm_cfg = {"type": nn.BatchNorm2d}
    config, _ = wrap(tmp_path, project(model=model))
    assert config.model.detector.backbone.norm_cfg.type is nn.BatchNorm2d


def test_what_belongs_to_labels_and_to_the_start_is_left_out_and_told(tmp_path: Path) -> None:
    config, table = wrap(
        tmp_path, project(load_from="coco.pth", val_evaluator={"type": "CocoMetric"}, compile=True)
    )
    assert (config.load_from, "val_evaluator" in config, "compile" in config) == (None, False, False)
    left = [key for key, (what, because) in table.items() if what == "left out" and because]
    assert {"load_from", "compile", "val_dataloader, val_evaluator", "test_dataloader"} == set(left)


@pytest.mark.parametrize("missing", ["train_dataloader", "test_dataloader", "optim_wrapper", "default_hooks"])
def test_a_config_that_lacks_a_section_is_wrapped(missing: str, tmp_path: Path) -> None:
    """Kind: a config for evaluation only, or one whose train.py brings the rest."""
    content = project()
    del content[missing]
    config, _ = wrap(tmp_path, content)
    assert config.train_dataloader.dataset.pipeline[0]["type"] == "LoadImageFromFile"
    assert config.optim_wrapper.optimizer.lr == 0.01


def test_a_config_without_a_scope_is_mmdet_s(tmp_path: Path) -> None:
    """Kind: a project's own base without ``default_scope``; mmengine's classes alone would not do."""
    content = {key: value for key, value in project().items() if key != "default_scope"}
    config, _ = wrap(tmp_path, content)
    assert config.default_scope == "mmdet"


def test_the_table_has_a_row_for_every_key(tmp_path: Path) -> None:
    """Kind: nothing of a config is kept, replaced or left out without a word."""
    own: dict[str, Any] = {
        "model_wrapper_cfg": {"type": "MMDistributedDataParallel"},
        "param_scheduler": [{"type": "LinearLR", "start_factor": 0.1}],
        "val_cfg": {"type": "ValLoop"},
        "load_from": "x.pth",
        "mine": 3,
    }
    config, table = wrap(tmp_path, project(**own))
    told = {key: what for key, (what, _) in table.items()}
    assert told["model, data_preprocessor"] == told["default_scope"] == told["model_wrapper_cfg"] == "kept"
    assert told["variables: mine"] == "kept"
    assert told["train_cfg"] == told["param_scheduler"] == "replaced"
    assert told["val_dataloader, val_cfg"] == told["test_dataloader"] == told["load_from"] == "left out"
    assert "resume" not in told, "the config says nothing of it"
    assert "num_clusters" not in config.model, "proposals without clusters"


def test_a_config_of_another_kind_of_boxes_is_refused(tmp_path: Path) -> None:
    """Kind: only the pipeline says that boxes are rotated."""
    turned = {"type": "LoadAnnotations", "with_bbox": True, "box_type": "rbox"}
    with pytest.raises(InputError, match="rotated"):
        wrap(tmp_path, project(train=[LOAD, turned, PACK]))
