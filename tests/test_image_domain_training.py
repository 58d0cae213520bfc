"""The road of stage 1: train on a folder, convert, and meet the same features in a detector."""

import aligndet  # noqa: F401, I001  first: makes mmcv importable where it has no compiled ops

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner

from aligndet.image_domain.backbones import build_backbone
from tools.convert_backbone import main as convert_backbone

CONFIGS = Path(__file__).parents[1] / "configs" / "image_domain"
DETECTOR = """
_base_ = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'
"""


def tiny_run(config: str, folder: Path, work_dir: Path) -> Runner:
    """Two steps of the shipped config on eight images of 32 pixels, kept in nested folders."""
    rng = np.random.default_rng(0)
    for i in range(8):
        path = folder / f"part{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 255, (32, 32, 3), dtype=np.uint8))
    cfg = Config.fromfile(CONFIGS / config)
    loader = cfg.train_dataloader
    loader.update(batch_size=4, num_workers=0, persistent_workers=False)
    loader.dataset.data_root = str(folder)
    for step in loader.dataset.pipeline[1].transforms[0]:
        if step.type == "RandomResizedCrop":
            step.scale = 32
    cfg.train_cfg.max_epochs = 1
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = f"{Path(config).stem}_{folder.parent.name}"
    cfg.default_hooks.checkpoint.update(interval=1)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def last_features(backbone: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    backbone.eval()  # returns None in both packages
    with torch.no_grad():
        return backbone(image)[-1]


@pytest.mark.parametrize("config", ["simsiam_r18_folder.py", "mocov2_r18_folder.py"])
def test_trained_backbone_gives_equal_features_in_a_detector(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    runner = tiny_run(config, tmp_path / "images", tmp_path / "work")
    assert runner.iter == 2
    detector_cfg = tmp_path / "detector.py"
    detector_cfg.write_text(DETECTOR)

    assert (
        convert_backbone([str(tmp_path / "work"), str(tmp_path / "b.pth"), "--detector", str(detector_cfg)])
        == 0
    )
    report = capsys.readouterr().out
    assert "checkpoint prefix 'backbone.'" in report
    assert "equal in checkpoint and detector config" in report

    cfg = Config.fromfile(detector_cfg)
    cfg.model.backbone.init_cfg = {"type": "Pretrained", "checkpoint": str(tmp_path / "b.pth")}
    with MODELS.switch_scope_and_registry("mmdet") as registry:
        detector = registry.build(cfg.model)
    detector.init_weights()
    image = torch.randn(1, 3, 64, 64)
    source, fresh = runner.model.backbone, build_backbone(Config.fromfile(detector_cfg))
    features = [last_features(network, image) for network in (source, detector.backbone, fresh)]
    torch.testing.assert_close(features[1], features[0], atol=1e-5, rtol=0)
    assert (features[2] - features[0]).abs().max() > 1e-2


@pytest.mark.parametrize("config", sorted(path.name for path in CONFIGS.glob("*.py")))
def test_configs_open_with_their_command(config: str) -> None:
    text = (CONFIGS / config).read_text()
    assert f"tools/train.py configs/image_domain/{config}" in text.split('"""')[1]
    assert Config.fromfile(CONFIGS / config).train_dataloader.dataset.with_label is False
