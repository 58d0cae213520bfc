"""A small question for the pipeline's tests: a RetinaNet of 16 channels, a few pictures, seconds on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from aligndet.pipeline.question import Question, make_question

DETECTOR = """
_base_ = "aligndet::demo/retinanet_r18.py"
model = dict(
    backbone=dict(
        stem_channels=8,
        base_channels=8,
        init_cfg=dict(type="Pretrained", checkpoint="weights/backbone.pth"),
    ),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    bbox_head=dict(in_channels=16, feat_channels=16, stacked_convs=1),
)
small = _base_.test_pipeline
small[1].scale = _base_.train_pipeline[2].scale = (64, 64)
train_cfg = dict(max_epochs=1)
one_process = dict(batch_size=2, num_workers=0, persistent_workers=False)
train_dataloader = dict(**one_process, dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = test_dataloader = dict(**one_process, dataset=dict(pipeline=small))
default_hooks = dict(logger=dict(interval=1))
"""


def write_images(folder: Path, count: int, size: int = 64) -> None:
    """Pictures of one bright rectangle each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        picture = rng.integers(0, 80, (size, size, 3)).astype(np.uint8)
        x, y = rng.integers(4, 24, 2).tolist()
        cv2.rectangle(picture, (x, y), (x + 28, y + 28), rng.integers(120, 255, 3).tolist(), -1)
        cv2.imwrite(str(folder / f"{number}.png"), picture)


def write_project(folder: Path, images: int = 6) -> None:
    """A user's folder: ``det.py``, ``photos/`` and ``weights/backbone.pth``, which det.py names so."""
    from mmdet.models import ResNet

    (folder / "det.py").write_text(DETECTOR)
    write_images(folder / "photos", images)
    (folder / "weights").mkdir()
    backbone = ResNet(18, stem_channels=8, base_channels=8)
    torch.save(backbone.state_dict(), folder / "weights" / "backbone.pth")


def question(folder: Path, **given: Any) -> Question:
    """The question in ``folder``, into ``folder/out``."""
    asked = {"backend": "random", "max_iters": 2, "workers": 1, "evidence_images": 2, **given}
    return make_question(str(folder / "det.py"), folder / "photos", out=folder / "out", **asked)
