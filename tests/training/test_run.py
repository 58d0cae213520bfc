"""tools/train.py from the command line: train, resume, mixed precision, two processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from aligndet.common.errors import InputError
from aligndet.training.run import load_config, train
from tests.box_domain.data.test_dataset import write
from tests.small import detector

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """A pre-training of a tiny FCOS on two generated images."""
    proposals = write(tmp_path, [[4, 4, 30, 30], [30, 20, 28, 40], [10, 30, 34, 24]])
    text = proposals.read_text().replace('"image_id": 0, "bbox": [30', '"image_id": 1, "bbox": [30')
    proposals.write_text(text)
    model = detector("fcos")
    model.backbone.update(base_channels=8)
    model.neck.update(in_channels=[8, 16, 32, 64], out_channels=32)
    norm = {"type": "GN", "num_groups": 4}
    model.bbox_head.update(in_channels=32, feat_channels=32, stacked_convs=1, norm_cfg=norm)
    stock = tmp_path / "detector.py"
    Config({"model": model}).dump(stock)
    path = tmp_path / "pretrain.py"
    path.write_text(
        f"""
_base_ = ['{ROOT}/configs/_base_/two_views.py', '{ROOT}/configs/_base_/pretrain_1x.py']
model = dict(type='aligndet.BoxDomainPretrainer', detector='{stock}', adapter=dict(num_slots=64))
view = [
    dict(type='RandomChoiceResize', scales=[(64, 64), (96, 96)], keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='aligndet.PackView'),
]
train_dataloader = dict(
    batch_size=1, num_workers=0, persistent_workers=False, batch_sampler=None,
    dataset=dict(
        ann_file='{proposals}', data_prefix=dict(img='{tmp_path}/images'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='aligndet.NumberProposals'),
            dict(type='MultiBranch', branch_field=['online', 'momentum'], online=view, momentum=view),
        ]))
train_cfg = dict(max_epochs=2)
env_cfg = dict(dist_cfg=dict(backend='gloo'))
"""
    )
    return path


def run(*command: object) -> str:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHON": sys.executable}
    done = subprocess.run(
        [str(part) for part in command], env=env, capture_output=True, text=True, timeout=300, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def state(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, map_location="cpu", weights_only=False)["state_dict"]


def test_a_run_is_resumed_with_its_momentum_network(config_file: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    options = {"train_cfg.max_epochs": 1}
    config = load_config(str(config_file), options)
    config.work_dir = str(work)
    train(config)
    first = state(work / "epoch_1.pth")
    name = "neck.lateral_convs.0.conv.weight"
    assert not torch.equal(first[f"online.{name}"], first[f"momentum.{name}"]), "it follows, it does not copy"
    out = run(sys.executable, "tools/train.py", config_file, "--work-dir", work, "--resume")
    assert "resumed epoch: 1" in out
    second = state(work / "epoch_2.pth")
    assert not torch.equal(second[f"online.{name}"], second[f"momentum.{name}"]), "kept, not copied anew"
    backbone = "online.backbone.conv1.weight"
    assert torch.equal(first[backbone], second[backbone])


def test_the_checkpoint_carries_the_whole_detector_config(config_file: Path) -> None:
    config = load_config(str(config_file))
    assert config.model.detector.type == "FCOS"
    assert config.model.detector.bbox_head.feat_channels == 32
    assert "FCOS" in config.pretty_text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="mmengine's AmpOptimWrapper needs a GPU")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mixed_precision_flags(dtype: str, config_file: Path, tmp_path: Path) -> None:
    config = load_config(str(config_file), {"train_cfg.max_epochs": 1})
    config.work_dir = str(tmp_path / "amp")
    train(config, amp=dtype)
    assert config.optim_wrapper.type == "AmpOptimWrapper"
    assert config.optim_wrapper.get("loss_scale") == ("dynamic" if dtype == "float16" else None)
    assert all(v.isfinite().all() for v in state(tmp_path / "amp" / "epoch_1.pth").values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
def test_mixed_precision_without_a_gpu_is_refused(config_file: Path) -> None:
    with pytest.raises(ValueError, match="needs a GPU"):
        train(load_config(str(config_file)), amp="bfloat16")


def test_two_processes_keep_one_model(config_file: Path, tmp_path: Path) -> None:
    """DDP over gloo: gradients are shared, so a run on two processes ends; its checkpoint is whole."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ["PORT"] = str(free.getsockname()[1])
    work = tmp_path / "ddp"
    out = run("bash", "tools/dist_train.sh", config_file, 2, "--work-dir", work)
    assert "Epoch(train)   [2]" in out or "Saving checkpoint at 2 epochs" in out
    assert all(v.isfinite().all() for v in state(work / "epoch_2.pth").values())


def test_a_missing_config_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.py"):
        load_config("nowhere.py")


def test_fewer_images_than_a_batch_is_an_error_not_an_untrained_checkpoint(
    config_file: Path, tmp_path: Path
) -> None:
    options = {"train_dataloader.batch_size": 8, "train_dataloader.drop_last": True}
    config = load_config(str(config_file), options)
    config.work_dir = str(tmp_path / "empty")
    with pytest.raises(ValueError, match="batch_size"):
        train(config)


def test_auto_scale_lr_needs_a_base(config_file: Path, tmp_path: Path) -> None:
    config = load_config(str(config_file))
    config.pop("auto_scale_lr")
    config.work_dir = str(tmp_path)
    with pytest.raises(ValueError, match="base_batch_size"):
        train(config, auto_scale_lr=True)
