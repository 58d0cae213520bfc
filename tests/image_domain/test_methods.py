"""Every method of configs/image_domain: a few steps on a folder, export, and equal features in a detector."""

import aligndet  # noqa: F401, I001  first: makes mmcv importable where it has no compiled ops

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict

from aligndet.image_domain.backbones import build_backbone
from aligndet.image_domain.normalisation import IMAGENET, check_normalisation
from aligndet.training.run import build_runner, load_config
from tests.command import command

convert_backbone = command("backbone convert")

CONFIGS = Path(__file__).parents[2] / "configs" / "image_domain"
NARROW = {"base_channels": 8, "stem_channels": 8}
RESNET = {"type": "ResNet", "depth": 18, **NARROW}
SWIN = {"embed_dims": 8, "depths": [2, 2, 2, 2], "num_heads": [1, 2, 4, 8]}
VIT = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32}
SWIN_DETECTOR = {"type": "SwinTransformer", **SWIN, "drop_path_rate": 0.0}
VIT_DETECTOR = {"type": "mmpretrain.VisionTransformer", "arch": VIT, "img_size": 64, "out_type": "featmap"}
HIDDEN = {"in_channels": 64, "hid_channels": 16, "out_channels": 16}
PREDICTOR = {"in_channels": 16, "hid_channels": 16, "out_channels": 16}

# config -> (what makes its model small, the detector's backbone, the image side in px)
METHODS: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "supervised_r18": (
        {"backbone": NARROW, "head": {"in_channels": 64, "num_classes": 2, "topk": (1,)}}, RESNET, 64
    ),
    "mocov2_r18": ({"backbone": NARROW, "neck": HIDDEN, "queue_len": 8, "feat_dim": 16}, RESNET, 64),
    "mocov3_r18": (
        {"backbone": NARROW, "neck": HIDDEN, "head": {"predictor": PREDICTOR}}, RESNET, 64
    ),
    "mocov3_swin-t": (
        {"backbone": {"arch": SWIN}, "neck": HIDDEN, "head": {"predictor": PREDICTOR}}, SWIN_DETECTOR, 224
    ),
    "simclr_r18": ({"backbone": NARROW, "neck": HIDDEN}, RESNET, 64),
    "byol_mobilenetv2": (
        {"backbone": {"widen_factor": 0.25}, "neck": {**HIDDEN, "in_channels": 1280},
         "head": {"predictor": PREDICTOR}},
        {"type": "MobileNetV2", "widen_factor": 0.25, "out_indices": (1, 2, 4, 7)}, 64,
    ),
    "simsiam_r18": ({"backbone": NARROW, "neck": HIDDEN, "head": {"predictor": PREDICTOR}}, RESNET, 64),
    "swav_r18": ({"backbone": NARROW, "neck": {"in_channels": 64, "hid_channels": 16}}, RESNET, 64),
    "densecl_r18": ({"backbone": NARROW, "neck": HIDDEN, "queue_len": 8, "feat_dim": 16}, RESNET, 64),
    "barlowtwins_r18": ({"backbone": NARROW, "neck": HIDDEN, "head": {"in_channels": 16}}, RESNET, 64),
    "mae_vit-s": (
        {"backbone": {"arch": VIT, "img_size": 64},
         "neck": {"embed_dim": 16, "num_patches": 16, "decoder_embed_dim": 16, "decoder_depth": 1,
                  "decoder_num_heads": 2}},
        VIT_DETECTOR, 64,
    ),
    "simmim_swin-t": ({"backbone": {"arch": SWIN}, "neck": {"in_channels": 64}}, SWIN_DETECTOR, 224),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_yapf(monkeypatch: pytest.MonkeyPatch) -> None:
    """mmengine formats a config for each of log, file and checkpoint: more time than the training here."""
    monkeypatch.setattr("yapf.yapflib.yapf_api.FormatCode", lambda text, **_: (text, True))


def write_images(folder: Path, count: int = 8) -> None:
    """Images of several sizes in nested folders, one of them broken."""
    rng = np.random.default_rng(0)
    for i in range(count):
        path = folder / f"class{i % 2}" / "deeper" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 255, (60 + 9 * i, 90, 3), dtype=np.uint8))
    (folder / "class0" / "broken.jpg").write_bytes(b"no image")


def small_crops(node: Any, side: int) -> None:
    """Crops of ``side`` px in a pipeline, of half that where the stock config has the smaller of two."""
    if isinstance(node, list | tuple):
        for item in node:
            small_crops(item, side)
    elif isinstance(node, dict):
        if node.get("type") == "RandomResizedCrop":
            node["scale"] = side // 2 if node["scale"] == 96 else side
        for value in node.values():
            small_crops(value, side)


def write_detector(folder: Path, backbone: dict[str, Any]) -> Path:
    """A detector config around a backbone whose weights come from ``init_cfg``."""
    path = folder / "detector.py"
    init = {"type": "Pretrained", "checkpoint": "backbone.pth"}
    normalisation = {"mean": IMAGENET.mean, "std": IMAGENET.std, "bgr_to_rgb": True}
    preprocessor = {"type": "DetDataPreprocessor", **normalisation}
    model = {
        "type": "RetinaNet",
        "data_preprocessor": preprocessor,
        "backbone": {**backbone, "init_cfg": init},
    }
    Config({"model": model}).dump(path)
    return path


def put(node: ConfigDict, changes: dict[str, Any]) -> None:
    """Changes into a config; whatever is a dict on both sides is merged."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(node.get(key), dict):
            put(node[key], value)
        else:
            node[key] = ConfigDict(value) if isinstance(value, dict) else value


def tiny(name: str, images: Path, work: Path) -> Config:
    """The shipped config on the images of a folder, with a narrow network, 2 or 3 steps of 4 images."""
    model, _, side = METHODS[name]
    options = {"train_dataloader.dataset.data_root": str(images), "model.backbone.init_cfg": None}
    config = load_config(str(CONFIGS / f"{name}.py"), options)
    put(config.model, model)
    config.train_dataloader.update(batch_size=4, num_workers=0, persistent_workers=False)
    small_crops(config.train_dataloader.dataset.pipeline, side)
    config.train_cfg.max_epochs = 1
    config.default_hooks.checkpoint.interval = 1
    config.work_dir, config.experiment_name = str(work), f"{name}_{work.parent.name}"
    config.randomness = {"seed": 0}
    for hook in config.get("custom_hooks", []):
        if hook["type"] == "SwAVHook":
            hook["batch_size"] = 4
    for key in (
        "val_dataloader",
        "val_evaluator",
        "val_cfg",
        "test_dataloader",
        "test_evaluator",
        "test_cfg",
    ):
        config[key] = None
    return config


def last_map(backbone: Any, image: torch.Tensor) -> torch.Tensor:
    """The deepest feature map, in evaluation mode."""
    backbone.eval()
    with torch.no_grad():
        if type(backbone).__name__ == "MAEViT":
            backbone.out_type = "featmap"
        masked = type(backbone).__name__ in ("MAEViT", "SimMIMSwinTransformer")
        return (backbone(image, None) if masked else backbone(image))[-1]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_trains_exports_and_gives_equal_features_in_a_detector(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Two steps from the images of a folder; the detector's own ``init_cfg`` loads the export."""
    write_images(tmp_path / "images")
    config = tiny(name, tmp_path / "images", tmp_path / "work")
    model: Any = build_runner(config).train()
    trained = model.backbone
    detector = write_detector(tmp_path, METHODS[name][1])
    out = tmp_path / "backbone.pth"
    assert convert_backbone([str(tmp_path / "work"), str(out), "--config", str(detector)]) == 0
    said = capsys.readouterr().out
    assert "checkpoint prefix 'backbone.'" in said
    assert "input normalisation: equal" in said
    assert torch.load(out)["meta"]["normalisation"] == IMAGENET.as_dict()

    loaded = load_config(str(detector), {"model.backbone.init_cfg.checkpoint": str(out)})
    assert check_normalisation(loaded) == ["model.backbone.init_cfg.checkpoint"]
    inside, random = build_backbone(loaded, initialise=True), build_backbone(loaded)
    side = 64 if METHODS[name][2] == 64 else 256  # smaller maps than Swin's windows are another function
    image = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    expected = last_map(trained, image)
    torch.testing.assert_close(last_map(inside, image), expected, atol=1e-5, rtol=0)
    assert (last_map(random, image) - expected).abs().max() > 1e-2
