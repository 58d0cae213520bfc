"""What prove's runs may start from: detectors, pre-training checkpoints, and backbones of any maker."""

from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from torchvision.models import resnet18

from aligndet.common.checkpoints import CheckpointError
from aligndet.common.errors import InputError
from aligndet.comparison.starts import fit_start
from aligndet.image_domain.convert import NoMatchError
from tests.small import detector


def test_a_backbone_alone_fills_the_backbone_and_nothing_else(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = resnet18().state_dict()
    torch.save(weights, tmp_path / "moco.pth")
    path, covers = fit_start(tmp_path / "moco.pth", "moco", detector("retinanet"), tmp_path / "starts")
    state = torch.load(path, weights_only=True)["state_dict"]
    stock = MODELS.build(detector("retinanet")).backbone.state_dict()
    assert set(state) == {f"backbone.{key}" for key in stock}
    assert torch.equal(state["backbone.layer4.1.conv2.weight"], weights["layer4.1.conv2.weight"])
    assert covers == f"{len(stock)} of {len(stock)} tensors of the backbone loaded; random: the rest"


def test_a_backbone_of_another_depth_is_refused(tmp_path: Path) -> None:
    weights = {key: value for key, value in resnet18().state_dict().items() if not key.startswith("layer4")}
    torch.save(weights, tmp_path / "x.pth")
    with pytest.raises(NoMatchError, match=r"x\.pth fills only"):
        fit_start(tmp_path / "x.pth", "x", detector("retinanet"), tmp_path / "starts")


def test_a_start_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    state = MODELS.build(detector("retinanet")).state_dict()
    state["bbox_head.retina_reg.bias"][3] = torch.inf
    torch.save({"state_dict": state}, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"--start x=.*x\.pth: bbox_head\.retina_reg\.bias is not finite: "):
        fit_start(tmp_path / "x.pth", "x", detector("retinanet"), tmp_path / "starts")
    assert not (tmp_path / "starts").exists()


def test_another_detector_is_not_taken_for_a_backbone(tmp_path: Path) -> None:
    state = MODELS.build(detector("retinanet")).state_dict()
    only = {key: v for key, v in state.items() if key.startswith("backbone.")}
    torch.save({"state_dict": {**only, "bbox_head.foreign.weight": torch.ones(3)}}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="nothing outside the backbone fits"):
        fit_start(tmp_path / "x.pth", "x", detector("retinanet"), tmp_path / "starts")
