"""Comparing and fine-tuning a config in the new style: classes stay classes in what is written."""

from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from aligndet.comparison.plan import Planner, write_run
from aligndet.comparison.run_config import base_config
from aligndet.comparison.settings import EvalSet, Settings, Start
from aligndet.pipeline.finetune_config import finetune_config, write_finetune
from tests.small_coco import make_coco

DETECTOR = """
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets.transforms import LoadAnnotations, PackDetInputs, Resize
from mmdet.evaluation import CocoMetric
from mmdet.models import RetinaHead, RetinaNet
from mmengine.optim import OptimWrapper
from torch.optim.adamw import AdamW

model = dict(type=RetinaNet, backbone=dict(type="ResNet"), bbox_head=dict(type=RetinaHead, num_classes=80))
steps = [
    dict(type=LoadImageFromFile, color_type="grayscale"),
    dict(type=LoadAnnotations, with_bbox=True),
    dict(type=Resize, scale=(96, 96), keep_ratio=True),
    dict(type=PackDetInputs),
]
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dict(ann_file="their.json", pipeline=steps))
val_dataloader = train_dataloader
val_evaluator = [dict(type=CocoMetric, ann_file="x.json", metric=["bbox"], classwise=True, format_only=False)]
test_evaluator = dict(type="VOCMetric")
train_cfg = dict(max_epochs=1)
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=AdamW, lr=0.1))
"""


def check(config: Any, labels: Path) -> None:
    """The classes that the detector's config imports are in a config that was written and read back."""
    from mmcv.transforms import LoadImageFromFile
    from mmdet.models import RetinaNet
    from torch.optim.adamw import AdamW

    assert config.model.type is RetinaNet
    assert config.model.bbox_head.num_classes == 2
    first = config.train_dataloader.dataset.pipeline[0]
    assert (first["type"], first["color_type"]) == (LoadImageFromFile, "grayscale")
    assert Path(config.train_dataloader.dataset.ann_file) == labels.resolve()
    assert config.optim_wrapper.optimizer.type is AdamW


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    (tmp_path / "new.py").write_text(DETECTOR)
    return make_coco(tmp_path, 6)


def test_a_run_of_a_comparison(labels: Path, tmp_path: Path) -> None:
    data = EvalSet(labels, tmp_path / "images")
    settings = Settings(
        config=str(tmp_path / "new.py"),
        starts=(Start("random"),),
        train=data,
        report=data,
        tune=data,
        work_dir=tmp_path / "work",
        iters={100.0: 10},
        lrs=(0.02,),
    )
    base, classes = base_config(settings)
    planner = Planner(settings, base, classes, {(100.0, fold): labels for fold in range(1, 6)})
    run = planner.run(settings.starts[0], 100.0, 1, 0.02, {"report": data})
    write_run(run)
    written = Config.fromfile(run.folder / "config.py")
    check(written, labels)
    assert written.compare_eval.report.dataset.pipeline[0]["color_type"] == "grayscale"


def test_the_fine_tune_config(labels: Path, tmp_path: Path) -> None:
    both = ((str(labels), str(labels)), (str(tmp_path / "images"),) * 2)
    detector = str(tmp_path / "new.py")
    config = finetune_config(detector, tmp_path / "detector.pth", both, {})
    write_finetune(detector, config, tmp_path / "finetune.py")
    written = Config.fromfile(tmp_path / "finetune.py")
    check(written, labels)
    from mmdet.evaluation import CocoMetric

    assert written.val_evaluator == {
        "type": CocoMetric,
        "ann_file": str(labels),
        "metric": ["bbox"],
        "classwise": True,
    }
    assert written.test_evaluator == {"type": "mmdet.CocoMetric", "metric": "bbox", "ann_file": str(labels)}
