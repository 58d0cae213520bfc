"""One export for every kind of checkpoint, told apart by what it holds."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from safetensors.torch import load_file

from aligndet import registry
from aligndet.common.checkpoints import CheckpointError
from aligndet.image_domain.methods import soco
from aligndet.image_domain.methods.contract import method_of, method_of_model
from aligndet.transfer.export import export
from aligndet.transfer.stock import build_stock
from tests.small import detector

CLASSES = {"fc_cls", "fc_reg", "rpn_head"}


def config(name: str, classes: int | None = None) -> Config:
    model = detector(name)
    if classes:
        model.roi_head.bbox_head.num_classes = classes
    return Config({"model": model, "default_scope": "mmdet"})


def stock_state(name: str) -> dict[str, torch.Tensor]:
    return dict(build_stock(config(name).model, seed=1).state_dict())


def save(path: Path, state: dict[str, torch.Tensor], **more: Any) -> Path:
    torch.save({"state_dict": state, **more}, path)
    return path


def written(path: Path) -> dict[str, torch.Tensor]:
    content: dict[str, dict[str, torch.Tensor]] = torch.load(path, weights_only=True)
    return content["state_dict"]


def test_the_official_code_calls_a_detector_backbone(tmp_path: Path) -> None:
    state = stock_state("faster_rcnn")
    official = {f"backbone.{key}": value for key, value in state.items()} | {
        "projector.0.weight": torch.ones(2)
    }
    report = export(save(tmp_path / "a.pth", official), tmp_path / "out.pth", config=config("faster_rcnn"))
    result = written(tmp_path / "out.pth")
    assert torch.equal(result["neck.fpn_convs.0.conv.weight"], state["neck.fpn_convs.0.conv.weight"])
    assert not [key for key in result if "fc_cls" in key]
    assert not report.missing
    with pytest.raises(CheckpointError, match="use --network online"):
        export(tmp_path / "a.pth", tmp_path / "x.pth", "momentum", config("faster_rcnn"))


def test_a_backbone_goes_under_the_detectors_names(tmp_path: Path) -> None:
    state = {key[9:]: value for key, value in stock_state("retinanet").items() if key.startswith("backbone.")}
    moco = {f"module.encoder_q.{key}": value for key, value in state.items()}
    report = export(save(tmp_path / "moco.pth", moco), tmp_path / "out.pth", config=config("retinanet"))
    result = written(tmp_path / "out.pth")
    assert result.keys() == {f"backbone.{key}" for key in state}
    assert torch.equal(result["backbone.conv1.weight"], state["conv1.weight"])
    assert {key.split(".")[0] for key in report.missing} == {"neck", "bbox_head"}
    with pytest.raises(CheckpointError, match=r"moco\.pth is not .* give the detector's config"):
        export(tmp_path / "moco.pth", tmp_path / "x.pth")
    assert not (tmp_path / "x.pth").exists()


def test_a_plain_detector_is_fitted_to_other_classes(tmp_path: Path) -> None:
    plain = save(tmp_path / "plain.pth", stock_state("faster_rcnn"))
    with pytest.raises(CheckpointError, match="plain detector checkpoint; use it in load_from as it is"):
        export(plain, tmp_path / "out.pth")
    report = export(plain, tmp_path / "out.pth", config=config("faster_rcnn", classes=3))
    assert "roi_head.bbox_head.fc_cls.weight" in report.classifier


def test_safetensors_hold_the_same(tmp_path: Path) -> None:
    plain = save(tmp_path / "plain.pth", stock_state("retinanet"))
    export(plain, tmp_path / "both.pth", config=config("retinanet"), safetensors=True)
    export(plain, tmp_path / "one.safetensors", config=config("retinanet"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "both.pth",
        "both.safetensors",
        "one.safetensors",
        "plain.pth",
    ]
    state = written(tmp_path / "both.pth")
    for name in ("both", "one"):
        tensors = load_file(tmp_path / f"{name}.safetensors")
        assert tensors.keys() == state.keys()
        assert all(torch.equal(tensors[key], state[key]) for key in state)


def test_soco_is_read_as_its_code_writes_it() -> None:
    keys = ["encoder.conv1.weight", "neck.lateral_convs.0.conv.weight", "head.conv4.weight", "head.bn4.bias"]
    state = {f"module.{key}": torch.zeros(1) for key in [*keys, "head.fc1.weight"]}
    assert list(soco.online_network(state)) == [
        "backbone.conv1.weight",
        "neck.lateral_convs.0.conv.weight",
        "roi_head.bbox_head.shared_convs.3.conv.weight",
        "roi_head.bbox_head.shared_convs.3.bn.bias",
        "roi_head.bbox_head.shared_fcs.0.weight",
    ]
    method = method_of(state)
    assert method is not None
    assert method.name == "SoCo"
    assert method_of({"module.encoder.conv1.weight": torch.zeros(1)}) is None, "a backbone alone"


METHOD = """
from aligndet.image_domain.methods.contract import DetectorMethod

METHOD = DetectorMethod(
    name="Mine",
    model="mine.Model",
    names=lambda tensors: {key[5:]: key for key in tensors if key.startswith("mine.")},
    layout="mine.*",
)
"""


def test_a_new_method_is_one_file_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_method.py").write_text(METHOD)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "METHODS", (*registry.METHODS, "my_method"))
    state = stock_state("faster_rcnn")
    mine = {f"mine.{key}": state[key] for key in state if key.startswith(("backbone.", "neck."))}
    report = export(save(tmp_path / "a.pth", mine), tmp_path / "out.pth", config=config("faster_rcnn"))
    assert report.network == "Mine"
    result = written(tmp_path / "out.pth")
    assert {key.split(".")[0] for key in result} == {"backbone", "neck"}
    found = method_of_model("mine.Model")
    assert found is not None
    assert found.name == "Mine"
    assert "my_method" in sys.modules
