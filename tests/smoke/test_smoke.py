"""Every command once, on data made here: what runs in the environment of either OpenMMLab family.

``.ci/openmmlab`` runs this folder on OpenMMLab's own packages; ``make test`` runs it on those at hand.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.apis import inference_detector, init_detector
from mmengine.config import Config
from mmengine.runner import Runner

from tests.command import command
from tests.small_coco import make_coco

SIDE = 64
STOCK = f"""
_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
model = dict(
    backbone=dict(depth=18, base_channels=8, init_cfg=None),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=32),
    bbox_head=dict(num_classes=2, in_channels=32, feat_channels=32, stacked_convs=1),
    test_cfg=dict(score_thr=0.0))
metainfo = dict(classes=('red', 'green'))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=({SIDE}, {SIDE}), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=({SIDE}, {SIDE}), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
data = dict(data_root='', ann_file='DATA/0.json', data_prefix=dict(img='DATA/images'), metainfo=metainfo)
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(**data, pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(**data, pipeline=test_pipeline))
val_evaluator = dict(ann_file='DATA/0.json')
test_dataloader, test_evaluator = val_dataloader, val_evaluator
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, labels, and the config of a user's tiny RetinaNet."""
    place = tmp_path_factory.mktemp("smoke")
    make_coco(place, 6)
    make_coco(place, 2, seed=1)
    (place / "stock.py").write_text(STOCK.replace("DATA", str(place)))
    return place


@pytest.fixture(scope="module")
def proposals(folder: Path) -> Path:
    words = [folder / "images", folder / "proposals", "--backend", "grid", "--workers", 0, "--quiet"]
    assert command("proposals make")(words) == 0
    return folder / "proposals"


@pytest.fixture(scope="module")
def pretrained(folder: Path, proposals: Path) -> Path:
    """Work dir of two iterations on the wrapped stock config."""
    words = [folder / "stock.py", "--aligndet", proposals, "--images", folder / "images"]
    words += ["--work-dir", folder / "work", "--max-iters", 2, "--json", folder / "trained.json", "--quiet"]
    assert command("train")(words) == 0
    return folder / "work"


@pytest.fixture(scope="module")
def exported(folder: Path, pretrained: Path) -> Path:
    assert command("export")([pretrained, folder / "detector.pth", "--quiet"]) == 0
    return folder / "detector.pth"


def test_the_doctor_finds_one_family_and_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """The three packages without which there is no mmdet are there, and of one origin."""
    assert command("doctor")([]) == 0
    said = capsys.readouterr().out
    assert all(f"ok     {name} from " in said for name in ("mmengine", "mmcv", "mmdet", "mmpretrain"))
    assert "are mixed" not in said


def test_proposals_are_made(proposals: Path) -> None:
    assert command("proposals verify")([proposals]) == 0


def test_a_wrapped_stock_config_trains(folder: Path, pretrained: Path) -> None:
    result = json.loads((folder / "trained.json").read_text())
    assert result["iters"] == 2
    assert np.isfinite(result["last"]["loss_contrast"])
    assert result["last"]["positives"] > 0
    state = torch.load(pretrained / "iter_2.pth", map_location="cpu", weights_only=False)["state_dict"]
    name = "neck.lateral_convs.0.conv.weight"
    assert not torch.equal(state[f"online.{name}"], state[f"momentum.{name}"])


def test_a_run_goes_on_from_its_last_checkpoint(folder: Path, pretrained: Path) -> None:
    """With all that mmengine keeps beside the weights: optimiser, scheduler, history of the losses."""
    work = shutil.copytree(pretrained, folder / "again")
    words = [work / "stock_aligndet.py", "--work-dir", work, "--max-iters", 3, "--resume", "--quiet"]
    assert command("train")([*words, "--json", folder / "resumed.json"]) == 0
    assert json.loads((folder / "resumed.json").read_text())["iters"] == 3
    state = torch.load(work / "iter_3.pth", map_location="cpu", weights_only=False)
    assert state["optimizer"]["state"]
    assert state["meta"]["iter"] == 3


def test_the_export_fits_the_stock_detector_which_detects(folder: Path, exported: Path) -> None:
    """mmdet's own API loads it; a new classifier is all that the stock detector misses."""
    model = init_detector(str(folder / "stock.py"), str(exported), device="cpu")
    state = torch.load(exported, map_location="cpu", weights_only=False)["state_dict"]
    missing = set(model.state_dict()) - set(state)
    assert missing == {"bbox_head.retina_cls.weight", "bbox_head.retina_cls.bias"}
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in state.items())
    found = inference_detector(model, str(next((folder / "images").iterdir()))).pred_instances
    assert found.bboxes.shape[1] == 4


def test_mmdets_runner_fine_tunes_from_the_export(folder: Path, exported: Path) -> None:
    """Two iterations and an evaluation of the stock config, as mmdet's own tools/train.py runs it."""
    config = Config.fromfile(folder / "stock.py")
    config.work_dir, config.load_from = str(folder / "finetune"), str(exported)
    config.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": 2, "val_interval": 2}
    config.default_hooks.checkpoint = {"type": "CheckpointHook", "by_epoch": False, "interval": 2}
    config.param_scheduler = []
    runner = Runner.from_cfg(config)
    runner.train()
    assert runner.iter == 2
    assert "val/coco/bbox_mAP" in runner.message_hub.log_scalars
    assert (folder / "finetune" / "iter_2.pth").is_file()


def test_a_stock_config_is_checked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("check")([folder / "stock.py"]) == 0, capsys.readouterr().out
    assert "ok" in capsys.readouterr().out


def test_a_comparison_is_planned(folder: Path, exported: Path) -> None:
    words = [folder / "stock.py", "--start", "random=", "--start", f"aligndet={exported}"]
    words += ["--train", folder / "0.json", "--val", folder / "1.json", "--images", folder / "images"]
    words += ["--percent", 50, "--iters", 2, "--out", folder / "compared", "--dry-run", "--search-on", "val"]
    assert command("compare")(words) == 0
    assert not list((folder / "compared").glob("runs/*/result.json"))


def test_a_users_config_inherits_from_ours(folder: Path, proposals: Path) -> None:
    """``_base_ = "aligndet::..."`` is found by mmengine's own reader, and trains."""
    (folder / "mine.py").write_text(
        '_base_ = "aligndet::box_domain/retinanet_r50_fpn_1x_coco.py"\n'
        f"model = dict(detector='{folder / 'stock.py'}', adapter=dict(num_slots=64))\n"
    )
    assert Config.fromfile(folder / "mine.py").model.type == "aligndet.BoxDomainPretrainer"
    words = [folder / "mine.py", "--work-dir", folder / "inherited", "--max-iters", 1, "--quiet"]
    data = "train_dataloader.dataset"
    words += ["--cfg-options", f"{data}.ann_file={proposals}", f"{data}.data_prefix.img={folder / 'images'}"]
    words += ["train_dataloader.batch_size=1", "train_dataloader.num_workers=0"]
    words += ["train_dataloader.persistent_workers=False"]
    assert command("train")(words) == 0
    assert (folder / "inherited" / "iter_1.pth").is_file()


def test_a_backbone_of_mmpretrain_is_pretrained_and_converted(folder: Path) -> None:
    """The image domain: one step of MoCo on mmpretrain's own transforms and model."""
    config = "aligndet::finetune/insloc_faster-rcnn_r18_fpn_192px.py"
    words = ["aligndet::image_domain/mocov2_r18_64px_folder.py", "--work-dir", folder / "moco"]
    words += ["--max-iters", 1, "--quiet", "--cfg-options", "train_dataloader.num_workers=0"]
    words += [f"train_dataloader.dataset.data_root={folder / 'images'}", "train_dataloader.batch_size=2"]
    words += ["train_dataloader.persistent_workers=False", "model.queue_len=4"]
    assert command("train")(words) == 0
    words = [folder / "moco", folder / "backbone.pth", "--config", config, "--quiet"]
    assert command("backbone convert")(words) == 0
    assert (folder / "backbone.pth").is_file()
