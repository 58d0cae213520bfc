"""Options that nothing would read are refused with the nearest name; new keys that something reads pass."""

from pathlib import Path
from typing import Any

import pytest

import aligndet
from aligndet.common.errors import InputError
from aligndet.training.config import load_config
from aligndet.training.strict import arguments_of, check_options, check_own_arguments

CONFIGS = Path(aligndet.__file__).parent / "configs"


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return dict(load_config("aligndet::box_domain/retinanet_r50_fpn_1x_coco.py").items())


@pytest.mark.parametrize(
    "key",
    [
        "model.detector.backbone.depth",
        "model.detector.backbone.with_cp",  # a new argument of ResNet
        "model.temperature",
        "model.adapter",
        "model.detector.bbox_head.reg_decoded_bbox",  # of AnchorHead, by RetinaHead's **kwargs
        "model.detector.test_cfg.something_else",
        "train_dataloader.drop_last",
        "train_dataloader.dataset.indices",
        "train_dataloader.dataset.pipeline.1.type",
        "train_dataloader.dataset.pipeline.0.to_float32",
        "optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult",
        "optim_wrapper.clip_grad.max_norm",
        "optim_wrapper.optimizer.nesterov",
        "param_scheduler.0.end",
        "param_scheduler.1.convert_to_iter_based",
        "default_hooks.checkpoint.save_best",
        "default_hooks.early_stopping.type",
        "randomness.seed",
        "custom_imports.imports",
        "find_unused_parameters",
        "resume",
        "check_normalisation",
    ],
)
def test_keys_that_are_read(key: str, config: dict[str, Any]) -> None:
    check_options(config, {key: 1})


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("modle.detector", r"modle\.detector: no such key \(did you mean 'model'\?\)"),
        ("model.tempereture", "did you mean 'temperature'"),
        ("model.detector.backbone.deph", r"ResNet has no argument deph \(did you mean 'depth'"),
        ("model.detector.bbox_head.num_clases", "did you mean 'num_classes'"),
        ("model.detector.test_cfg.score_th", "did you mean 'score_thr'"),
        ("train_dataloader.batchsize", "did you mean 'batch_size'"),
        ("train_dataloader.dataset.anno_file", "did you mean 'ann_file'"),
        ("train_dataloader.dataset.pipeline.9.type", "index from 0 to 4"),
        ("train_dataloader.dataset.pipeline.first.type", "index from 0 to 4"),
        ("custom_hooks.0.bas", "did you mean 'base'"),
        ("optim_wrapper.optimizer.lr.value", "'0.01' and has no keys"),
        ("optim_wraper.optimizer.lr", "did you mean 'optim_wrapper'"),
        ("randomness.sed", "did you mean 'seed'"),
        ("max_iters", "no such key"),
    ],
)
def test_keys_that_nobody_reads(key: str, words: str, config: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=words) as caught:
        check_options(config, {key: 1})
    assert key in str(caught.value)


def test_arguments_are_those_of_the_bases_too() -> None:
    class Base:
        def __init__(self, left: int) -> None: ...

    class Child(Base):
        def __init__(self, right: int, **options: int) -> None: ...

    class Open:
        def __init__(self, right: int, **options: int) -> None: ...

    assert arguments_of(Child) == ({"left", "right"}, False)
    assert arguments_of(Open) == ({"right"}, True)


@pytest.mark.parametrize("folder", ["box_domain", "demo", "image_domain"])
def test_shipped_configs_give_our_classes_no_other_argument(folder: str) -> None:
    for path in sorted((CONFIGS / folder).glob("*.py")):
        check_own_arguments(dict(load_config(str(path)).items()))
