"""Options that nothing would read are refused with the nearest name; new keys that something reads pass."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.model import PretrainedInit
from mmengine.registry import MODELS, TRANSFORMS

import aligndet
from aligndet.common.errors import InputError
from aligndet.training.config import load_config
from aligndet.training.strict import check_files, check_options, check_own_arguments

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


@pytest.mark.parametrize("folder", ["box_domain", "demo", "image_domain"])
def test_shipped_configs_give_our_classes_no_other_argument(folder: str) -> None:
    for path in sorted((CONFIGS / folder).glob("*.py")):
        check_own_arguments(dict(load_config(str(path)).items()))


class Reads(torch.nn.Module):
    """Takes any keyword, and reads some before it hands the others on."""

    def __init__(self, width: int = 1, **options: Any) -> None:
        self.depth = options.pop("own_option", 0)
        super().__init__(**options)


def test_keys_of_the_user_s_own_classes_and_dicts_are_not_refused() -> None:
    """Kind: keywords that a class pops, keys that differ by a number, one name in several registries."""
    MODELS.register_module(name="SharedByTwo", module=Reads, force=True)
    TRANSFORMS.register_module(name="SharedByTwo", module=dict, force=True)
    own: dict[str, Any] = {
        "default_scope": "mmdet",
        "model": {"type": Reads, "stages": {"stage_number_1": 1}},
        "other": {"type": "SharedByTwo"},
        "train_dataloader": {"batch_size": 2},
        "my_setting": {"a": 1},
    }
    for key in (
        "model.own_option",
        "model.stages.stage_number_2",
        "other.own_option",
        "my_setting.b",
        "train_dataloader.in_order",
        "train_dataloader.pin_memory_device",
        "strategy",
        "tta_model",
    ):
        check_options(own, {key: 1})
    for key, words in (
        ("model.widths", "did you mean 'width'"),
        ("model.stages.stage_nmber_1", "did you mean"),
    ):
        with pytest.raises(InputError, match=words):
            check_options(own, {key: 1})


def test_weights_are_looked_for_in_the_model_and_not_in_what_made_it(tmp_path: Path) -> None:
    """Kind: a variable of the config with weights that the model does not have; types as classes."""
    missing = {"type": PretrainedInit, "checkpoint": str(tmp_path / "not_there.pth")}
    check_files({"model": {"type": "X"}, "backbone": {"type": "Y", "init_cfg": missing}})
    with pytest.raises(InputError, match=r"model\.backbone\.init_cfg\.checkpoint: .*no such file of weights"):
        check_files({"model": {"type": "X", "backbone": {"type": "Y", "init_cfg": missing}}})
