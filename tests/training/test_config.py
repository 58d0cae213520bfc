"""A user's config is wrapped, written and read back: the same model, in the old style and in the new."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS

from aligndet.common.config_text import config_text
from aligndet.common.configs import read_config
from aligndet.common.errors import InputError
from aligndet.scopes import scope_of
from aligndet.training.config import TABLE_FILE, load_config, wrap_config
from aligndet.training.cpu import without_gpu
from tests.box_domain.data.test_dataset import write
from tests.box_domain.project import project

LAZY = """
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets.transforms import LoadAnnotations, PackDetInputs, Resize
from mmdet.models import FPN, DetDataPreprocessor, FocalLoss, L1Loss, ResNet, RetinaHead, RetinaNet
from mmdet.models.task_modules import AnchorGenerator, DeltaXYWHBBoxCoder, MaxIoUAssigner, PseudoSampler
from mmengine.optim import AmpOptimWrapper
from torch.nn import BatchNorm2d
from torch.optim.adamw import AdamW

default_scope = None
width = 8
backbone = dict(type=ResNet, depth=18, base_channels=width, norm_cfg=dict(type=BatchNorm2d))
model = dict(
    type=RetinaNet,
    data_preprocessor=dict(type=DetDataPreprocessor, mean=[1.0, 2, 3], std=[4.0, 5, 6], pad_size_divisor=32),
    backbone=backbone,
    neck=dict(type=FPN, in_channels=[8, 16, 32, 64], out_channels=16, num_outs=5),
    bbox_head=dict(
        type=RetinaHead,
        num_classes=3,
        in_channels=16,
        feat_channels=16,
        stacked_convs=1,
        anchor_generator=dict(type=AnchorGenerator, scales=[4], ratios=[1.0], strides=[4, 8, 16, 32, 64]),
        bbox_coder=dict(type=DeltaXYWHBBoxCoder),
        loss_cls=dict(type=FocalLoss),
        loss_bbox=dict(type=L1Loss),
    ),
    train_cfg=dict(
        assigner=dict(type=MaxIoUAssigner, pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0),
        sampler=dict(type=PseudoSampler),
        allowed_border=-1,
        pos_weight=-1,
    ),
)
load = dict(type=LoadImageFromFile, imdecode_backend="pillow")
resize = dict(type=Resize, scale=(160, 96), keep_ratio=True)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    dataset=dict(pipeline=[load, dict(type=LoadAnnotations), resize, dict(type=PackDetInputs)]),
)
test_dataloader = dict(dataset=dict(pipeline=[load, resize, dict(type=PackDetInputs)]))
optim_wrapper = dict(
    type=AmpOptimWrapper,
    optimizer=dict(type=AdamW, lr=0.5),
    paramwise_cfg=dict(bias_decay_mult=0.0),
)
"""


def wrapped(folder: Path, text: str, *rest: Any, name: str = "mine.py") -> Config:
    """A config's text, wrapped in ``folder/out``."""
    (folder / name).write_text(text)
    proposals = write(folder, [[4.0, 4, 30, 30]])
    out = folder / "out" / "wrapped.py"
    return wrap_config(str(folder / name), str(proposals), str(folder / "images"), out, *rest)


def module(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the user's, on the path."""
    (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, name, raising=False)


def keys_and_kinds(model: Any, config: Config) -> tuple[dict[str, Any], list[str]]:
    """Shapes of a model's tensors, and the classes of its modules."""
    with scope_of(config):
        built = MODELS.build(ConfigDict(model))
    shapes = {key: tuple(value.shape) for key, value in built.state_dict().items()}
    return shapes, [type(part).__name__ for part in built.modules()]


def test_the_written_config_builds_the_model_that_the_user_s_config_builds(tmp_path: Path) -> None:
    """Kind: types as classes; wrapped, written, read back, and read back from its text once more."""
    config = wrapped(tmp_path, LAZY)
    stock = read_config(str(tmp_path / "mine.py"))
    for read in (config, Config.fromstring(config_text(config), ".py")):
        assert keys_and_kinds(read.model.detector, read) == keys_and_kinds(stock.model, stock)
    assert config.optim_wrapper.optimizer.type is torch.optim.AdamW
    assert config.optim_wrapper.optimizer.lr == 1e-4, "a class decides the family as its name does"
    assert config.train_dataloader.dataset.pipeline[0]["imdecode_backend"] == "pillow"
    views = config.train_dataloader.dataset.pipeline[-1]
    assert tuple(views["online"][0]["scales"][-1]) == (160, 96)
    without_gpu(config)
    assert config.optim_wrapper.type == "OptimWrapper", "a class of mixed precision is none for a CPU either"


def test_a_config_in_the_new_style_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kind: what mmengine writes into the checkpoint of such a run is read back, too."""
    from aligndet.image_domain.normalisation import config_in
    from aligndet.training.run import train

    config = wrapped(tmp_path, LAZY, {"train_dataloader.batch_size": 1})
    config.work_dir = str(tmp_path / "run")
    result = train(config, max_iters=1)
    assert result.checkpoint
    meta = torch.load(result.checkpoint, weights_only=False)["meta"]
    stored: Any = config_in(meta)
    assert stored is not None
    assert keys_and_kinds(stored.model.detector, stored) == keys_and_kinds(config.model.detector, config)


def test_the_table_stands_beside_the_config(tmp_path: Path) -> None:
    wrapped(tmp_path, config_text(Config(project(param_scheduler=[{"type": "ConstantLR"}]))))
    lines = (tmp_path / "out" / TABLE_FILE).read_text().splitlines()
    assert "mine.py" in lines[0]
    assert any(line.split()[:2] == ["param_scheduler", "replaced"] for line in lines)
    assert any(line.startswith("image size: 128 x 96 px") and " kept " in line for line in lines)


def test_modules_of_options_and_of_import_are_there_before_anything_is_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: classes that only the project's train.py imports; the written config imports them by itself."""
    for name in ("of_option", "of_import"):
        text = (
            "from mmdet.models import ResNet\nfrom mmdet.registry import MODELS\n"
            f"@MODELS.register_module(name='{name}')\nclass Own(ResNet): pass\n"
        )
        module(tmp_path, name, text, monkeypatch)
    content = project(my_backbone={"type": "of_import"})
    content["model"].backbone.type = "of_option"
    options = {"custom_imports.imports": ["of_option"]}
    config = wrapped(tmp_path, config_text(Config(content)), options, ["of_import"])
    assert config.custom_imports.imports == ["of_option", "of_import"]
    assert {"of_option", "of_import"} <= set(sys.modules)
    assert read_config(str(tmp_path / "out" / "wrapped.py")).model == config.model
    loaded = load_config(str(tmp_path / "out" / "wrapped.py"), options, ["of_import"])
    assert loaded.custom_imports.imports == ["of_option", "of_import"], "options do not put --import aside"


def test_an_option_that_only_made_a_part_of_the_user_s_config_is_refused(tmp_path: Path) -> None:
    """Kind: ``max_epochs=3`` made train_cfg, which is the recipe's; to set it would do nothing."""
    text = config_text(Config(project(max_epochs=3, my_setting={"deep": 1})))
    assert wrapped(tmp_path, text, {"my_setting.deep": 2}).my_setting.deep == 2
    with pytest.raises(InputError, match="max_epochs: no such key"):
        wrapped(tmp_path, text, {"max_epochs": 5})


def test_a_class_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Kind: a config in the new style imports what is missing only when somebody looks at it."""
    text = LAZY.replace(
        "from mmdet.models import FPN,", "from not_there import FPN\nfrom mmdet.models import"
    )
    with pytest.raises(InputError, match=r"mine\.py: .*not_there"):
        wrapped(tmp_path, text)


OWN_REGISTRY = """
from mmengine import registry as root

MODELS = root.Registry("model", parent=root.MODELS, scope="ownscope")
TRANSFORMS = root.Registry("transform", parent=root.TRANSFORMS, scope="ownscope")
HOOKS = root.Registry("hook", parent=root.HOOKS, scope="ownscope")
"""
OWN_PARTS = """
from mmcv.transforms import BaseTransform
from mmdet.datasets.transforms import PackDetInputs as Pack
from mmdet.models import RetinaNet as Stock
from mmengine.hooks import Hook
from ownscope.registry import HOOKS, MODELS, TRANSFORMS


@MODELS.register_module()
class RetinaNet(Stock):
    pass


@TRANSFORMS.register_module()
class Resize(BaseTransform):
    def __init__(self, side):
        self.side = side

    def transform(self, results):
        import cv2

        factor = self.side / max(results["img"].shape[:2])
        results["img"] = cv2.resize(results["img"], None, fx=factor, fy=factor)
        return results


@TRANSFORMS.register_module()
class RandomFlip(BaseTransform):
    def transform(self, results):
        raise AssertionError("the recipe's own is meant")


@TRANSFORMS.register_module()
class MultiBranch(RandomFlip):
    pass


@HOOKS.register_module()
class Counts(Hook):
    steps = 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        Counts.steps += 1
        assert runner.model.bbox_head.num_classes
"""


def test_a_project_with_registries_and_a_scope_of_its_own_is_pretrained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: a library with a default scope of its own, and classes that hide mmdet's by their names."""
    from aligndet.training.run import train

    (tmp_path / "ownscope").mkdir()
    (tmp_path / "ownscope" / "__init__.py").write_text("")
    (tmp_path / "ownscope" / "registry.py").write_text(OWN_REGISTRY)
    module(tmp_path, "ownscope/parts", OWN_PARTS, monkeypatch)
    load, resize = {"type": "LoadImageFromFile"}, {"type": "Resize", "side": 96}
    boxes, pack = {"type": "mmdet.LoadAnnotations", "with_bbox": True}, {"type": "mmdet.PackDetInputs"}
    content = project(
        [load, boxes, resize, pack],
        [load, resize, boxes, pack],
        default_scope="ownscope",
        custom_imports={"imports": ["ownscope.parts"]},
        custom_hooks=[{"type": "Counts"}],
    )
    model = content["model"]
    for part in (model.backbone, model.neck, model.bbox_head, model.data_preprocessor):
        part.type = f"mmdet.{part.type}"
    for part in ("anchor_generator", "bbox_coder", "loss_cls", "loss_bbox"):
        model.bbox_head[part].type = f"mmdet.{model.bbox_head[part].type}"
    model.train_cfg.assigner.type = "mmdet.MaxIoUAssigner"
    model.train_cfg.sampler.type = "mmdet.PseudoSampler"
    config = wrapped(tmp_path, config_text(Config(content)), {"train_dataloader.batch_size": 1})
    assert tuple(config.train_dataloader.dataset.pipeline[-1]["online"][0]["scales"][-1]) == (96, 96)
    config.work_dir = str(tmp_path / "run")
    assert train(config, max_iters=1).iters == 1
    assert sys.modules["ownscope.parts"].Counts.steps == 1
