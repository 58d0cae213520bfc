"""Weights are read from every kind of place, with the normalisation where it is known."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from aligndet.common.errors import InputError
from aligndet.image_domain.normalisation import Normalisation, normalisation_of
from aligndet.image_domain.sources import load_source, read_tensors

ONE = torch.ones(2)
IMAGENET = Normalisation((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "rgb")


@pytest.mark.parametrize(
    ("checkpoint", "keys"),
    [
        pytest.param({"a.weight": ONE}, ["a.weight"], id="plain"),
        pytest.param({"state_dict": {"a": ONE}, "meta": {"x": ONE}}, ["a"], id="mmengine"),
        pytest.param({"model": {"a": ONE}, "optimizer": {"state": {0: ONE}}}, ["a"], id="DeiT, MAE"),
        pytest.param({"teacher": {"a": ONE}, "student": {"a": ONE}}, ["teacher.a", "student.a"], id="DINO"),
        pytest.param({"epoch": 3, "net": {"a": ONE}, "optimizer": {"state": {0: ONE}}}, ["net.a"], id="own"),
        pytest.param({"model": nn.Linear(2, 2)}, ["weight", "bias"], id="pickled module"),
    ],
)
def test_tensors_of_a_checkpoint(checkpoint: dict, keys: list[str]) -> None:
    assert list(read_tensors(checkpoint, "x.pth")) == keys


def test_a_file_without_tensors_is_an_error() -> None:
    with pytest.raises(InputError, match=r"x\.pth holds no tensors"):
        read_tensors({"epoch": 3}, "x.pth")


@pytest.mark.parametrize(
    ("cfg", "found"),
    [
        ({"model": {"data_preprocessor": {"mean": [1, 2, 3], "std": [4, 5, 6], "bgr_to_rgb": True}}}, "rgb"),
        (
            {
                "model": {"type": "x"},
                "data_preprocessor": {"mean": [1, 2, 3], "std": [4, 5, 6], "to_rgb": True},
            },
            "rgb",
        ),
        ({"model": {"detector": {"data_preprocessor": {"mean": [1, 2, 3], "std": [4, 5, 6]}}}}, "bgr"),
        ({"model": {"data_preprocessor": {"type": "SelfSup"}}}, None),
    ],
)
def test_normalisation_of_configs(cfg: dict, found: str | None) -> None:
    assert normalisation_of(cfg) == (Normalisation((1, 2, 3), (4, 5, 6), found) if found else None)


def test_file_work_dir_and_safetensors(tmp_path: Path) -> None:
    text = "model = dict(data_preprocessor=dict(mean=[1, 2, 3], std=[4, 5, 6], to_rgb=True))"
    torch.save({"state_dict": {"backbone.a": ONE}, "meta": {"cfg": text}}, tmp_path / "epoch_1.pth")
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "epoch_1.pth"))
    save_file({"a": ONE}, tmp_path / "a.safetensors")
    for name in (tmp_path, tmp_path / "epoch_1.pth"):
        source = load_source(str(name))
        assert list(source.tensors) == ["backbone.a"]
        assert source.normalisation == Normalisation((1, 2, 3), (4, 5, 6), "rgb")
    assert list(load_source(str(tmp_path / "a.safetensors")).tensors) == ["a"]


def test_missing_files_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no checkpoint that can be read: expected"):
        load_source(str(tmp_path))
    with pytest.raises(InputError, match="timm:NAME"):
        load_source("resnet18")


def test_a_run_without_a_step_is_an_error(tmp_path: Path) -> None:
    """mmengine trains on nothing and saves random weights when a folder holds less than one batch."""
    torch.save({"state_dict": {"backbone.a": ONE}, "meta": {"iter": 0}}, tmp_path / "epoch_1.pth")
    with pytest.raises(InputError, match="before its first training step"):
        load_source(str(tmp_path / "epoch_1.pth"))


def test_timm_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(name: str, pretrained: bool) -> nn.Module:
        assert (name, pretrained) == ("tiny_net", True)
        network: Any = nn.Linear(2, 2)
        network.pretrained_cfg = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
        return network

    fake = ModuleType("timm")
    vars(fake)["create_model"] = create_model
    monkeypatch.setitem(sys.modules, "timm", fake)
    source = load_source("timm:tiny_net")
    assert list(source.tensors) == ["weight", "bias"]
    assert source.normalisation == IMAGENET


@pytest.mark.parametrize(("name", "tag"), [("torchvision:net", "DEFAULT"), ("torchvision:net:V1", "V1")])
def test_torchvision_name(name: str, tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def weights(label: str) -> SimpleNamespace:
        transform = SimpleNamespace(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
        return SimpleNamespace(get_state_dict=lambda **options: {label: ONE}, transforms=lambda: transform)

    choices = {"DEFAULT": weights("DEFAULT"), "V1": weights("V1")}
    monkeypatch.setattr("torchvision.models.get_model_weights", lambda model: choices)
    source = load_source(name)
    assert list(source.tensors) == [tag]
    assert source.normalisation == IMAGENET


def test_model_zoo_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.save({"state_dict": {"backbone.a": ONE}}, tmp_path / "zoo.pth")
    cfg = {"model": {"data_preprocessor": {"mean": [1, 2, 3], "std": [4, 5, 6], "to_rgb": True}}}

    class Zoo(dict):
        model_path = str(tmp_path / "zoo.pth")

    monkeypatch.setattr("mmengine.hub.get_config", lambda name, pretrained: Zoo(cfg))
    source = load_source("mmpretrain::resnet/net.py")
    assert list(source.tensors) == ["backbone.a"]
    assert source.normalisation == Normalisation((1, 2, 3), (4, 5, 6), "rgb")
