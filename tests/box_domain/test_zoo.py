"""One stock config per adapter, made shallow, through the check of ``aligndet check``."""

from pathlib import Path
from typing import Any

import pytest
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope

import aligndet  # noqa: F401
from aligndet.box_domain.adapters.base import _SERVED, adapter_for
from aligndet.checking.check import Settings, check_config
from aligndet.checking.row import OK
from aligndet.common.config_text import config_text
from aligndet.common.configs import read_config, read_model
from aligndet.transfer.stock import without_downloads

CONFIGS = {
    "AnchorAdapter": "retinanet/retinanet_r18_fpn_1x_coco.py",
    "PointAdapter": "fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py",
    "RoIAdapter": "mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py",
    "CrowdAdapter": "crowddet/crowddet-rcnn_refine_r50_fpn_8xb2-30e_crowdhuman.py",
    "QueryAdapter": "conditional_detr/conditional-detr_r50_8xb2-50e_coco.py",
    "ScoreAdapter": "ld/ld_r18-gflv1-r101_fpn_1x_coco.py",
    "MaskKernelAdapter": "rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py",
    "MaskCoefficientAdapter": "yolact/yolact_r50_1xb8-55e_coco.py",
    "OverlapAdapter": "lad/lad_r50-paa-r101_fpn_2xb8_coco_1x.py",
    "RPNAdapter": "rpn/rpn_r50_fpn_1x_coco.py",
    "GuidedRPNAdapter": "guided_anchoring/ga-rpn_r50_fpn_1x_coco.py",
    "CascadeRPNAdapter": "cascade_rpn/cascade-rpn_r50-caffe_fpn_1x_coco.py",
    "PredictedBoxAdapter": "free_anchor/freeanchor_r50_fpn_1x_coco.py",
    "CenterRegionAdapter": "centernet/centernet-update_r50-caffe_fpn_ms-1x_coco.py",
    "CenterAdapter": "centernet/centernet_r18_8xb16-crop512-140e_coco.py",
}


def shallow(stock: ConfigDict) -> ConfigDict:
    """A stock model with ResNet-18, its transformer two layers deep, its RoI heads narrow."""
    model: ConfigDict = without_downloads(stock)
    if model.backbone.type == "ResNet" and model.backbone.depth > 18:
        model.backbone.depth = 18
        narrow(model.neck, "in_channels")
    for part in ("encoder", "decoder"):
        if part in model:
            model[part].num_layers = 2
    if model.get("rpn_head", {}).get("type") == "CascadeRPNHead":
        repair(model.rpn_head)
    heads = model.get("roi_head", {}).get("bbox_head", [])
    for head in heads if isinstance(heads, list) else [heads]:
        head.fc_out_channels = 64
    return model


def repair(cascade_rpn: ConfigDict) -> None:
    """mmdet cannot build its own config of this head: it lacks an option and has one of another version."""
    cascade_rpn.num_classes = 1
    for stage in cascade_rpn.stages:
        stage.pop("sampling")


def narrow(config: Any, key: str) -> None:
    """Channels of ResNet-18, where those of ResNet-50 were."""
    channels = config[key]
    config[key] = [c // 4 for c in channels] if isinstance(channels, (list, tuple)) else channels // 4


@pytest.mark.parametrize("adapter", CONFIGS)
def test_two_steps_and_the_export(adapter: str, tmp_path: Path) -> None:
    config = read_config(f"mmdet::{CONFIGS[adapter]}")
    config.model = shallow(config.model)
    path = tmp_path / "shallow.py"
    path.write_text(config_text(config))
    row = check_config(str(path), Settings(zoo=True, folder=str(tmp_path)))
    assert (row.status, row.adapter) == (OK, adapter), row
    assert 0 < row.positives <= row.slots
    assert row.kept > 10 * row.missing


def test_every_adapter_has_a_config() -> None:
    own = {adapter for adapter in _SERVED.values() if adapter.__module__.startswith("aligndet.")}
    init_default_scope("mmdet")
    assert {adapter_for(read_model(f"mmdet::{name}")) for name in CONFIGS.values()} == own
