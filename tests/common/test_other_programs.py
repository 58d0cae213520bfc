"""A config that is for another program, or for mmdet 2, is refused in one line that names it.

Kind: a repository on mmdet 2 or on another trainer, whose config reads as a dictionary with a model. Trained
as it stands, its images would be normalised otherwise than it says, or its keys would mean nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from aligndet.common.configs import read_config, read_model
from aligndet.common.errors import InputError

MODEL = "model = dict(type='FasterRCNN', backbone=dict(type='ResNet', depth=50))\n"
PIPELINE = "[dict(type='LoadImageFromFile'), dict(type='Normalize'), dict(type='DefaultFormatBundle')]"
THEIRS = {
    "keys.py": (
        MODEL + "img_norm_cfg = dict(mean=[1, 2, 3])\n",
        r"mmdet 2 \(it has img_norm_cfg\).*normalised",
    ),
    "data.py": (MODEL + "data = dict(samples_per_gpu=2)\n", r"mmdet 2 \(it has data.samples_per_gpu\)"),
    "train.py": (MODEL + "data = dict(train=dict(type='CocoDataset'))\n", r"mmdet 2 \(it has data.train\)"),
    "schedule.py": (MODEL + "optimizer = dict(type='SGD')\nlr_config = dict(policy='step')\n", "mmdet 2"),
    "runner.py": (
        MODEL + "runner = dict(max_epochs=12)\n",
        r"mmdet 2 \(it has runner",
    ),
    "half.py": (
        MODEL + f"train_dataloader = dict(dataset=dict(type='CocoDataset', pipeline={PIPELINE}))\n",
        r"mmdet 2 \(it has DefaultFormatBundle\)",
    ),
    "seg.py": ("model = dict(type='EncoderDecoder')\nlr_config = dict()\n", "mmseg 0.x"),
    "rotated.py": ("model = dict(type='RotatedRetinaNet')\nlr_config = dict()\n", "mmrotate 0.x"),
    "d2.yaml": ("_BASE_: ../Base.yaml\nMODEL:\n  MASK_ON: false\n", "detectron2"),
    "lazy_d2.py": (
        "from detectron2.config import LazyCall as L\nmodel = L(1)\n",
        "it is for detectron2",
    ),
    "yolo.yaml": ("nc: 80\nbackbone:\n  - [-1, 1, Conv]\nhead:\n  - [-1, 1, Detect]\n", "ultralytics"),
    "coco8.yaml": ("path: coco8\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n", "ultralytics"),
    "paddle.yml": ("architecture: PPYOLO\nmetric: COCO\n", "PaddleDetection"),
}


@pytest.mark.parametrize("name", THEIRS)
def test_it_is_refused_in_one_line_that_names_the_program(name: str, tmp_path: Path) -> None:
    text, words = THEIRS[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_config(str(tmp_path / name))
    assert name in str(caught.value)
    assert "mmdet 3" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_old_keys_that_a_config_for_mmdet_3_has_as_variables_do_not_count(tmp_path: Path) -> None:
    """As in mmdet 3's own ``ga-fast-rcnn``, whose old pipeline is left over and is read by nobody."""
    text = (
        "img_norm_cfg = dict(mean=[1, 2, 3])\noptimizer = dict(type='SGD')\nworkflow = []\n"
        f"train_pipeline = {PIPELINE}\n{MODEL}model['data_preprocessor'] = dict(**img_norm_cfg)\n"
        "optim_wrapper = dict(optimizer=optimizer)\ntrain_dataloader = dict(dataset=dict(pipeline=[]))\n"
    )
    (tmp_path / "mine.py").write_text(text)
    assert read_config(str(tmp_path / "mine.py")).model.data_preprocessor.mean == [1, 2, 3]
    assert read_model("mmdet::guided_anchoring/ga-fast-rcnn_r50-caffe_fpn_1x_coco.py").type == "FastRCNN"


@pytest.mark.parametrize(("scope", "words"), [("mmseg", "segments"), ("mmpretrain", "whole images")])
def test_a_model_of_another_task_is_named(scope: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"default_scope = '{scope}'\nmodel = dict(type='X', backbone=dict())\n")
    assert read_config(str(tmp_path / "mine.py")).default_scope == scope  # its backbone can be read
    with pytest.raises(InputError, match=f"it is for {scope} .*{words}"):
        read_model(str(tmp_path / "mine.py"))
