"""Training of the shipped small config: a folder, a few steps, resume, two processes."""

import aligndet  # noqa: F401, I001  first: makes mmcv importable where it has no compiled ops

import os
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from aligndet.training.run import load_config, train
from tests.small import NARROW_INSLOC

ROOT = Path(__file__).parents[4]
CONFIG = f"{ROOT}/configs/image_domain/insloc_r18_fpn_folder.py"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Nine files in nested folders, one of them no image."""
    rng = np.random.default_rng(0)
    for number in range(8):
        path = tmp_path / "images" / f"part{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 255, (40, 48, 3), dtype=np.uint8))
    (tmp_path / "images" / "broken.jpg").write_bytes(b"no image")
    return tmp_path / "images"


def options(images: Path, epochs: int) -> dict[str, object]:
    """The shipped config with an eighth of its width, 64 px composites and batches of 4."""
    loader = "train_dataloader"
    branch = f"{loader}.dataset.pipeline.0"
    return {
        f"{loader}.dataset.data_root": str(images),
        f"{loader}.batch_size": 4,
        f"{loader}.num_workers": 0,
        f"{loader}.persistent_workers": False,
        f"{branch}.query.0.canvas": 64,
        f"{branch}.key.0.canvas": 64,
        **NARROW_INSLOC,
        "model.box_augmentation.anchor_generator.strides": [4],
        "model.queue_len": 16,
        "train_cfg.max_epochs": epochs,
        "default_hooks.checkpoint.interval": 1,
        "env_cfg.dist_cfg.backend": "gloo",
    }


def state(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, map_location="cpu", weights_only=False)["state_dict"]


def test_train_resume_and_what_the_checkpoint_holds(images: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for epochs, resume in ((1, None), (2, "auto")):
        config = load_config(CONFIG, options(images, epochs))
        config.work_dir, config.experiment_name = str(work), f"insloc{epochs}{tmp_path.name}"
        result = train(config, resume=resume)
    first, second = state(work / "epoch_1.pth"), state(work / "epoch_2.pth")
    assert (first["encoder_k.steps"], second["encoder_k.steps"]) == (2, 4), "two steps of 4, and on"
    assert second["queue.position"].item() == 0, "16 keys went into the 16 places"
    assert torch.equal(first["queue.keys"][:, :, :8], second["queue.keys"][:, :, :8]), "the queue was resumed"
    for name in ("backbone.conv1.weight", "neck.fpn_convs.0.conv.weight", "roi_head.bbox_head.fc_cls.weight"):
        query, key = second[f"encoder_q.{name}"], second[f"encoder_k.module.{name}"]
        assert not torch.equal(query, key)
        assert not torch.equal(query, first[f"encoder_q.{name}"])
        assert query.isfinite().all()
    assert [
        line for line in result.warnings if "broken.jpg: OpenCV cannot decode it; another image takes" in line
    ]


def test_two_processes_train_one_model(images: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PYTHON": sys.executable,
        "PORT": port,
    }
    work = tmp_path / "ddp"
    changes = [f"{key}={value}".replace(" ", "") for key, value in options(images, 1).items()]
    changes += ["train_dataloader.batch_size=2"]
    command = ["bash", "tools/dist_train.sh", CONFIG, "2", "--work-dir", str(work), "--cfg-options", *changes]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    weights = state(work / "epoch_1.pth")
    assert weights["queue.position"].item() == 8, "two steps, each with the keys of both processes"
    assert all(value.isfinite().all() for value in weights.values())
