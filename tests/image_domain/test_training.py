"""Stage 1 as a person runs it: every config names what exists; resume and two processes through the tools."""

import ast
import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from aligndet.image_domain.backbones import backbone_config, build_backbone
from aligndet.image_domain.keys import candidates
from aligndet.training.cpu import DistributedOnCPU, without_gpu
from aligndet.training.run import build_runner, load_config, train
from tests.image_domain.test_methods import tiny, write_images

ROOT = Path(__file__).parents[2]
CONFIGS = {
    path.stem: path
    for path in sorted((ROOT / "configs" / "image_domain").glob("*.py"))
    if not path.name.startswith("insloc")
}
BACKBONES = ("r18", "r50", "mobilenetv2", "swin-t", "swin-s", "vit-b", "vit-s")
METHODS = (
    *("supervised", "mocov2", "mocov3", "simclr", "byol", "simsiam", "swav", "densecl", "barlowtwins"),
    *("mae", "simmim"),
)


def test_every_method_has_a_config() -> None:
    made = {tuple(name.split("_")[:2]) for name in CONFIGS}
    assert {method for method, _ in made} == set(METHODS)
    assert {backbone for _, backbone in made} == set(BACKBONES)


@pytest.mark.parametrize("name", CONFIGS)
def test_one_path_and_the_commands_at_the_top(name: str) -> None:
    text = CONFIGS[name].read_text().partition("_base_")[0]
    assert f"aligndet train aligndet::image_domain/{name}.py --cfg-options train_dataloader.dataset" in text
    assert f"aligndet backbone convert work_dirs/{name} " in text
    data = load_config(str(CONFIGS[name])).train_dataloader
    assert data.dataset.type == "aligndet.ImageFolder"
    assert data.dataset.get("with_label", False) is name.startswith("supervised")
    assert data.get("drop_last", False) is not name.startswith("supervised")


@cache
def shapes(backbone: str, scope: str) -> dict[str, tuple[int, ...]]:
    """Of all tensors of a backbone, built at full size from the text of its config."""
    cfg = Config({"backbone": ast.literal_eval(backbone), "default_scope": scope})
    return {key: tuple(value.shape) for key, value in build_backbone(cfg).state_dict().items()}


def shapes_of(config: Config, scope: str) -> dict[str, tuple[int, ...]]:
    part = backbone_config(config)
    for key in ("init_cfg", "zero_init_residual", "norm_cfg", "drop_path_rate", "frozen_stages"):
        part.pop(key, None)
    return shapes(repr(part.to_dict()), scope)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_full_backbone_fits_the_detector_that_the_config_names(name: str) -> None:
    """At full size, without training: the detector's backbone lacks nothing but Swin's additional norms."""
    detector = re.search(r"--config (\S+)", CONFIGS[name].read_text())
    assert detector
    if detector[1].startswith("YOUR"):
        pytest.skip("no stock detector of this backbone is named")
    target = shapes_of(load_config(detector[1]), "mmdet")
    match = candidates(shapes_of(load_config(str(CONFIGS[name])), "mmpretrain"), target)[0]
    assert not match.mismatched
    assert not [key for key in match.missing if not re.fullmatch(r"norm[012]\.(weight|bias)", key)]


def test_resume_goes_on_where_the_run_stopped(tmp_path: Path) -> None:
    """The queue of MoCo and the momentum network are in the checkpoint; a second epoch starts from them."""
    write_images(tmp_path / "images")
    config = tiny("mocov2_r18", tmp_path / "images", tmp_path / "work")
    train(copy.deepcopy(config))
    first = torch.load(tmp_path / "work" / "epoch_1.pth", weights_only=False)
    config.train_cfg.max_epochs, config.experiment_name = 2, f"again_{tmp_path.name}"
    model: Any = build_runner(config, resume="auto").train()
    assert first["meta"]["iter"] == 2
    second = torch.load(tmp_path / "work" / "epoch_2.pth", weights_only=False)
    assert second["meta"]["iter"] == 4
    # 8 keys of the queue are 2 steps of 4: the pointer is where it was, the keys are other ones
    assert not torch.equal(second["state_dict"]["queue"], first["state_dict"]["queue"])
    assert torch.equal(model.queue, second["state_dict"]["queue"])


def test_processes_without_a_gpu_need_no_sync_batch_norm(tmp_path: Path) -> None:
    """Most stock configs ask for SyncBN, which torch has for GPUs; test_training.py runs two processes."""
    init_default_scope("mmpretrain")
    model = MODELS.build(tiny("byol_mobilenetv2", tmp_path, tmp_path / "work").model)
    assert any(isinstance(part, nn.SyncBatchNorm) for part in model.modules())
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/join", rank=0, world_size=1)
    try:
        with pytest.raises(ValueError, match="SyncBatchNorm layers only work with GPU"):
            MMDistributedDataParallel(model, device_ids=None)
        wrapped = DistributedOnCPU(model)
        views = [torch.zeros(4, 3, 64, 64) + torch.arange(4).view(4, 1, 1, 1) for _ in range(2)]
        assert wrapped(views, [], mode="loss")["loss"].isfinite()
    finally:
        torch.distributed.destroy_process_group()


def test_mixed_precision_of_a_config_is_left_out_without_a_gpu(tmp_path: Path) -> None:
    """The stock configs of MAE, SimMIM and MoCo v3 ask for it; a smoke run on a CPU must not stop there."""
    config = load_config(str(CONFIGS["mae_vit-b"]))
    assert config.optim_wrapper.type == "AmpOptimWrapper"
    without_gpu(config)
    assert config.optim_wrapper.type == "OptimWrapper"
    assert "loss_scale" not in config.optim_wrapper
