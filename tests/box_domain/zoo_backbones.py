"""Every kind of backbone that the zoo's detectors have, small, with all norms and dropout alive."""

from __future__ import annotations

from typing import Any

_HRNET = {
    f"stage{n}": {
        "num_modules": 1,
        "num_branches": n,
        "block": "BOTTLENECK" if n == 1 else "BASIC",
        "num_blocks": (1,) * n,
        "num_channels": tuple(8 * 2**i for i in range(n)),
    }
    for n in range(1, 5)
}
_ALIVE: dict[str, Any] = {"norm_eval": False, "frozen_stages": -1}
_TRIDENT: dict[str, Any] = {
    "depth": 50,
    "num_branch": 3,
    "test_branch_idx": 1,
    "strides": (1, 2, 2),
    "dilations": (1, 1, 1),
    "num_stages": 3,
    "trident_dilations": (1, 2, 3),
    "out_indices": (2,),
}
#: Options of each type, registered in mmdet or under the scope that is written before it.
BACKBONES: dict[str, dict[str, Any]] = {
    "ResNet": {"depth": 18, "base_channels": 8, **_ALIVE},
    "ResNetV1d": {"depth": 18, "base_channels": 8, **_ALIVE},
    "ResNeXt": {"depth": 50, "groups": 2, "base_width": 4, "base_channels": 8, **_ALIVE},
    "Res2Net": {"depth": 50, "scales": 4, "base_width": 4, "base_channels": 16, **_ALIVE},
    "ResNeSt": {"depth": 50, "base_channels": 8, "stem_channels": 8, **_ALIVE},
    "RegNet": {"arch": "regnetx_400mf", **_ALIVE},
    "HRNet": {"extra": _HRNET, "norm_eval": False},
    "HourglassNet": {
        "downsample_times": 2,
        "num_stacks": 1,
        "stage_channels": (16, 16, 24),
        "stage_blocks": (1, 1, 1),
        "feat_channel": 16,
    },
    "SwinTransformer": {
        "embed_dims": 24,
        "depths": (1, 1, 2, 1),
        "drop_path_rate": 0.5,
        "drop_rate": 0.3,
        "attn_drop_rate": 0.3,
    },
    "PyramidVisionTransformer": {
        "embed_dims": 8,
        "num_layers": [1, 1, 1, 1],
        "num_heads": [1, 1, 1, 1],
        "pretrain_img_size": 64,
        "drop_rate": 0.3,
        "drop_path_rate": 0.5,
    },
    "PyramidVisionTransformerV2": {"embed_dims": 8, "num_layers": [1, 1, 1, 1], "drop_path_rate": 0.5},
    "Darknet": {"depth": 53, "norm_eval": False},
    "CSPDarknet": {"deepen_factor": 0.33, "widen_factor": 0.125},
    "CSPNeXt": {"deepen_factor": 0.167, "widen_factor": 0.125, "norm_cfg": {"type": "BN"}},
    "SSDVGG": {
        "depth": 11,
        "with_last_pool": False,
        "ceil_mode": True,
        "out_indices": (3, 4),
        "out_feature_indices": (10, 15),
    },
    "MobileNetV2": {"widen_factor": 0.25, **_ALIVE},
    "EfficientNet": {"arch": "b0", "drop_path_rate": 0.5, "norm_eval": False},
    "DetectoRS_ResNet": {"depth": 50, "base_channels": 8, "sac": None, "stage_with_sac": (False,) * 4},
    "DetectoRS_ResNeXt": {
        "depth": 50,
        "groups": 2,
        "base_width": 4,
        "base_channels": 8,
        "sac": None,
        "stage_with_sac": (False,) * 4,
    },
    "TridentResNet": {**_TRIDENT, "norm_eval": False},
    "mmpretrain.ConvNeXt": {
        "arch": "atto",
        "out_indices": (0, 1, 2, 3),
        "drop_path_rate": 0.5,
        "gap_before_final_norm": False,
    },
    "mmpretrain.VisionTransformer": {
        "arch": {"embed_dims": 24, "num_layers": 2, "num_heads": 2, "feedforward_channels": 24},
        "img_size": 64,
        "patch_size": 16,
        "out_type": "featmap",
        "drop_rate": 0.3,
        "drop_path_rate": 0.5,
        "layer_cfgs": {"attn_drop_rate": 0.3},
    },
    "mmpretrain.TIMMBackbone": {
        "model_name": "tf_efficientnet_lite0",
        "features_only": True,
        "pretrained": False,
        "drop_path_rate": 0.5,
    },
}
