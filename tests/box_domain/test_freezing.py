"""Freezing holds for every kind of backbone: two passes in training mode are equal and leave no trace."""

from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch import Tensor

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.freezing import freeze, hold_still
from aligndet.common.configs import read_config
from aligndet.transfer.stock import without_downloads
from tests.small import batch, fill

HRNET = {
    f"stage{n}": {
        "num_modules": 1,
        "num_branches": n,
        "block": "BOTTLENECK" if n == 1 else "BASIC",
        "num_blocks": (1,) * n,
        "num_channels": tuple(8 * 2**i for i in range(n)),
    }
    for n in range(1, 5)
}
BACKBONES: dict[str, dict[str, Any]] = {
    "ResNet": {"depth": 18, "base_channels": 8, "norm_eval": False, "frozen_stages": -1},
    "ResNeXt": {"depth": 50, "groups": 2, "base_width": 4, "base_channels": 8, "norm_eval": False},
    "Res2Net": {"depth": 50, "scales": 4, "base_width": 4, "base_channels": 16, "norm_eval": False},
    "RegNet": {"arch": "regnetx_400mf", "norm_eval": False},
    "HRNet": {"extra": HRNET, "norm_eval": False},
    "SwinTransformer": {"embed_dims": 24, "depths": (1, 1, 2, 1), "drop_path_rate": 0.5, "drop_rate": 0.3},
    "PyramidVisionTransformerV2": {"embed_dims": 8, "num_layers": [1, 1, 1, 1], "drop_path_rate": 0.5},
    "CSPDarknet": {"deepen_factor": 0.33, "widen_factor": 0.125},
    "CSPNeXt": {"deepen_factor": 0.167, "widen_factor": 0.125, "norm_cfg": {"type": "BN"}},
    "Darknet": {"depth": 53, "norm_eval": False},
    "EfficientNet": {"arch": "b0", "drop_path_rate": 0.5, "norm_eval": False},
    "DetectoRS_ResNet": {"depth": 50, "base_channels": 8, "sac": None, "stage_with_sac": (False,) * 4},
    "TridentResNet": {
        "depth": 50,
        "num_branch": 3,
        "test_branch_idx": 1,
        "strides": (1, 2, 2),
        "dilations": (1, 1, 1),
        "num_stages": 3,
        "trident_dilations": (1, 2, 3),
        "out_indices": (2,),
        "norm_eval": False,
    },
    "mmpretrain.ConvNeXt": {
        "arch": "atto",
        "out_indices": (0, 1, 2, 3),
        "drop_path_rate": 0.5,
        "gap_before_final_norm": False,
    },
    "mmpretrain.TIMMBackbone": {
        "model_name": "tf_efficientnet_lite0",
        "features_only": True,
        "pretrained": False,
        "drop_path_rate": 0.5,
    },
}


def outputs(backbone: Any, image: Tensor) -> list[Tensor]:
    found = backbone(image)
    return list(found) if isinstance(found, (tuple, list)) else [found]


@pytest.mark.parametrize("name", BACKBONES)
def test_a_frozen_backbone_is_still_in_training(name: str) -> None:
    torch.manual_seed(0)
    init_default_scope("mmdet")
    backbone = MODELS.build({"type": name, **BACKBONES[name]})
    fill(backbone)
    image = torch.randn(2, 3, 64, 64)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    freeze(backbone)
    backbone.train()
    hold_still(backbone)
    first, second = outputs(backbone, image), outputs(backbone, image)
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other), "nothing is drawn at random"
        assert not one.requires_grad
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, before[key]), f"{key} moved"
    backbone.eval()
    alone = outputs(backbone, image)
    if name == "TridentResNet":
        assert len(first[0]) == 3 * len(alone[0]), "its branches are those of training"
    else:
        for one, other in zip(first, alone, strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", ["SwinTransformer", "CSPDarknet", "EfficientNet"])
def test_the_check_sees_a_backbone_that_is_not_held(name: str) -> None:
    torch.manual_seed(0)
    init_default_scope("mmdet")
    backbone = MODELS.build({"type": name, **BACKBONES[name]})
    freeze(backbone)
    backbone.train()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    image = torch.randn(2, 3, 64, 64)
    first, second = outputs(backbone, image), outputs(backbone, image)
    moved = any(not torch.equal(value, before[key]) for key, value in backbone.state_dict().items())
    assert moved or any(not torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_shared_head_is_head_and_not_backbone() -> None:
    """C4: the last stage of the ResNet stands in the RoI head, and is trained."""
    torch.manual_seed(0)
    model = BoxDomainPretrainer(
        without_downloads(read_config("mmdet::faster_rcnn/faster-rcnn_r50-caffe-c4_ms-1x_coco.py").model)
    )
    model.train()
    data = model.data_preprocessor(batch(), True)
    model.parse_losses(model(**data, mode="loss"))[0].backward()
    shared = model.online.roi_head.shared_head.layer4
    assert all(p.grad is not None and p.grad.any() for n, p in shared.named_parameters() if "conv" in n)
    assert all(p.grad is None for p in model.online.backbone.parameters())
