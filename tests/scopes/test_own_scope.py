"""A library with registries and a default scope of its own, from its config to a fine-tune config and back.

Kind: mmyolo and what is built on it. Its registries are children of mmengine's and not of mmdet's; its
classes may be named like mmdet's; assigner, data preprocessor and data set are its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope, Registry
from torch import nn

from aligndet.common.configs import read_config
from aligndet.common.errors import InputError
from aligndet.pipeline.finetune_config import finetune_config, write_finetune
from aligndet.scopes import scope_of
from aligndet.training.config import wrap_config
from aligndet.training.run import train
from aligndet.transfer.export import export
from aligndet.transfer.stock import build_stock
from tests.small_coco import make_coco

REGISTRY = """
from mmengine import registry as r
MODELS = r.Registry("model", parent=r.MODELS, scope="meadow", locations=["meadow.parts"])
TASK_UTILS = r.Registry("task util", parent=r.TASK_UTILS, scope="meadow", locations=["meadow.parts"])
DATASETS = r.Registry("dataset", parent=r.DATASETS, scope="meadow")
"""
PARTS = """
from mmdet import models
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.models.task_modules import MaxIoUAssigner
from torch import nn
from meadow.registry import MODELS, TASK_UTILS

calls = dict(assigner=0, preprocessor=0)

@MODELS.register_module()
class RetinaHead(models.RetinaHead):
    def _init_layers(self):
        super()._init_layers()
        self.mix = nn.Conv2d(self.in_channels, self.in_channels, 1)

    def forward_single(self, x):
        return super().forward_single(self.mix(x))

@MODELS.register_module()
class Preprocessor(DetDataPreprocessor):
    def forward(self, data, training=False):
        calls["preprocessor"] += 1
        return super().forward(data, training)

@TASK_UTILS.register_module()
class Nearest(MaxIoUAssigner):
    def assign(self, *args, **kwargs):
        calls["assigner"] += 1
        return super().assign(*args, **kwargs)
"""
DATA = """
from mmdet.datasets import CocoDataset
from meadow.registry import DATASETS

@DATASETS.register_module()
class Pictures(CocoDataset):
    def __init__(self, *args, flavour, **kwargs):
        super().__init__(*args, **kwargs)
"""
CONFIG = """
default_scope = "meadow"
load = dict(type="LoadImageFromFile")
steps = [load, dict(type="mmdet.LoadAnnotations", with_bbox=True),
    dict(type="mmdet.Resize", scale=(64, 64), keep_ratio=True), dict(type="mmdet.PackDetInputs")]
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="Pictures", flavour="sweet", data_root="no/", ann_file="no.json", pipeline=steps))
val_dataloader = test_dataloader = train_dataloader
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=1)
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.01))
model = dict(type="mmdet.RetinaNet", data_preprocessor=dict(type="Preprocessor", pad_size_divisor=32),
    backbone=dict(type="mmdet.ResNet", depth=18, base_channels=8),
    neck=dict(type="mmdet.FPN", in_channels=[8, 16, 32, 64], out_channels=16, start_level=1, num_outs=3),
    bbox_head=dict(type="RetinaHead", num_classes=3, in_channels=16, feat_channels=16, stacked_convs=1,
        anchor_generator=dict(type="mmdet.AnchorGenerator", octave_base_scale=4, scales_per_octave=1,
            ratios=[1.0], strides=[8, 16, 32]),
        bbox_coder=dict(type="mmdet.DeltaXYWHBBoxCoder"), loss_cls=dict(type="mmdet.FocalLoss"),
        loss_bbox=dict(type="mmdet.L1Loss")),
    train_cfg=dict(allowed_border=-1, pos_weight=-1, sampler=dict(type="mmdet.PseudoSampler"),
        assigner=dict(type="Nearest", pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0,
            iou_calculator=dict(type="mmdet.BboxOverlaps2D"))))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A library, its config, and a pre-training of one step in ``run``; ``meadow.data`` is in no config."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "meadow").mkdir()
    for name, text in {"__init__": "", "registry": REGISTRY, "parts": PARTS, "data": DATA}.items():
        (folder / "meadow" / f"{name}.py").write_text(text)
    (folder / "mine.py").write_text(CONFIG)
    boxes = make_coco(folder, 4)
    sys.path.insert(0, str(folder))
    config = wrap_config(
        str(folder / "mine.py"), str(boxes), str(folder / "images"), folder / "run" / "mine.py",
        {"check_normalisation": False}, imports=["meadow.data"],
    )  # fmt: skip
    config.work_dir = str(folder / "run")
    assert train(config, max_iters=1).iters == 1
    yield folder
    sys.path.remove(str(folder))


def test_its_own_classes_are_trained(project: Path) -> None:
    calls = sys.modules["meadow.parts"].calls
    assert calls["assigner"] == 4  # two images in two views
    assert calls["preprocessor"] >= 2


def test_the_written_config_and_the_checkpoint_know_scope_and_modules(project: Path) -> None:
    written = read_config(str(project / "run" / "mine.py"))
    meta = torch.load(project / "run" / "iter_1.pth", weights_only=False)["meta"]
    assert written.default_scope == "meadow"
    assert written.custom_imports.imports == ["meadow.data"]
    assert "meadow.data" in meta["cfg"]


def test_it_is_exported_with_the_layers_of_its_own_class(project: Path) -> None:
    before = DefaultScope.get_current_instance().scope_name
    report = export(project / "run", project / "out.pth")
    state = torch.load(project / "out.pth", weights_only=False)["state_dict"]
    assert "bbox_head.mix.weight" in state
    assert not report.dropped or all(key.startswith("bbox_head.retina_cls") for key in report.dropped)
    assert DefaultScope.get_current_instance().scope_name == before


def test_a_checkpoint_whose_modules_are_gone_says_which(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = torch.load(project / "run" / "iter_1.pth", weights_only=False)
    checkpoint["meta"]["cfg"] = checkpoint["meta"]["cfg"].replace("meadow.data", "meadow_of_yesterday.data")
    torch.save(checkpoint, tmp_path / "iter_1.pth")
    with pytest.raises(InputError, match=r"custom_imports meadow_of_yesterday.data: there is no module"):
        export(tmp_path / "iter_1.pth", tmp_path / "out.pth", trust=True)
    checkpoint["meta"]["cfg"] = checkpoint["meta"]["cfg"].replace("'meadow'", "'meadow_of_yesterday'")
    torch.save(checkpoint, tmp_path / "iter_1.pth")
    with pytest.raises(InputError, match=r"in no registry; .* --import, such as .*meadow_of_yesterday.data"):
        export(tmp_path / "iter_1.pth", tmp_path / "out.pth")  # a file of weights imports nothing itself
    assert not (tmp_path / "out.pth").exists()


def test_the_fine_tune_config_keeps_its_data_set_and_imports_its_modules(project: Path) -> None:
    labels = str(next(project.glob("*.json")))
    both = (labels, labels), (str(project / "images"), str(project / "images"))
    config = finetune_config(str(project / "mine.py"), project / "out.pth", both, {}, ["meadow.data"])
    write_finetune(str(project / "mine.py"), config, project / "finetune.py")
    read = read_config(str(project / "finetune.py"))
    data = read.train_dataloader.dataset
    assert (data.type, data.flavour, data.ann_file) == ("Pictures", "sweet", labels)
    assert "data_root" not in data
    assert "meadow.data" in read.custom_imports.imports
    with scope_of(read):
        detector: Any = build_stock(read.model)
    assert detector.bbox_head.num_classes == 2


def test_names_of_a_registry_below_mmdets_are_looked_up_there_too() -> None:
    """Kind: a project whose registry is a child of mmdet's, so that mmdet's names need no scope."""
    below = Registry("model", parent=MMDET_MODELS, scope="below_mmdet")

    class ResNet(nn.Identity):
        pass

    below.register_module(module=ResNet)
    with scope_of({"default_scope": "below_mmdet", "model": {"type": "RetinaNet"}}):
        assert isinstance(MODELS.build({"type": "ResNet"}), ResNet)
        assert type(MODELS.build({"type": "L1Loss"})).__module__.startswith("mmdet.")


def test_a_model_of_another_packages_config_is_of_that_packages_scope(project: Path) -> None:
    """Kind: ``_base_ = 'mmdet::…'`` under a scope of its own: the model alone says that it is mmdet's."""
    (project / "inherits.py").write_text(
        "_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'\ndefault_scope = 'meadow'\n"
        "model = dict(backbone=dict(depth=18, init_cfg=None), neck=dict(in_channels=[64, 128, 256, 512]))\n"
    )
    from aligndet.box_domain import BoxDomainPretrainer

    model = ConfigDict(read_config(str(project / "inherits.py"))._cfg_dict.to_dict()["model"])
    with scope_of({"default_scope": "meadow", "model": model}):
        head: Any = BoxDomainPretrainer(model).online.bbox_head
    assert type(head).__module__.startswith("mmdet.")


def test_a_scope_that_nothing_registers_is_named() -> None:
    config = {"default_scope": "no_such_scope", "model": {"type": "RetinaNet"}}
    words = r"no_such_scope.registry: there is no module .*with --import"
    with pytest.raises(InputError, match=words), scope_of(config):
        pass
    inside = {"type": "aligndet.BoxDomainPretrainer", "detector": {"type": "RetinaNet"}}
    with pytest.raises(InputError, match="no_such_scope"), scope_of({**config, "model": inside}):
        pass
    with scope_of({**config, "model": {"type": "mmdet.RetinaNet"}}):  # works in mmdet, too
        assert DefaultScope.get_current_instance().scope_name == "no_such_scope"


def test_a_missing_class_is_found_in_the_project_or_in_another_scope(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: modules that are registered in a project's own train.py, which nobody imports here."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "net.py").write_text("@MODELS.register_module()\nclass CrownNet:\n    pass\n")
    model = {"type": "RetinaNet", "backbone": {"type": "CrownNet"}, "neck": None, "bbox_head": None}
    with scope_of({}), pytest.raises(InputError, match=r"CrownNet is not registered.*--import own.net"):
        build_stock(ConfigDict(model))
    config = {"default_scope": "mmpretrain", "model": {"type": "X"}}
    with scope_of(config), pytest.raises(InputError, match=r"write mmdet.RetinaNet for that one"):
        build_stock(ConfigDict(model))
