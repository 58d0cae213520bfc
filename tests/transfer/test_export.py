"""Export: the stock detector loads the result, misses its classifiers only, computes what it should."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from torch import nn

from aligndet.box_domain.pretrainer import BoxDomainPretrainer
from aligndet.common.checkpoints import CheckpointError, write_checkpoint
from aligndet.transfer.export import export
from aligndet.transfer.fit import fit_plain
from aligndet.transfer.source import looks_like, read_checkpoint
from aligndet.transfer.stock import build_stock, without_downloads
from tests.command import command
from tests.small import PAPER, detector

main = command("export")

CLASSIFIERS = {
    "retinanet": ["bbox_head.retina_cls"],
    "fcos": ["bbox_head.conv_cls"],
    "faster_rcnn": ["roi_head.bbox_head.fc_cls"],
    "mask_rcnn": ["roi_head.bbox_head.fc_cls"],
    "detr": ["bbox_head.fc_cls"],
    "deformable_detr": ["bbox_head.cls_branches.0", "bbox_head.cls_branches.1"],  # one layer, two names
    "cascade_rcnn": [f"roi_head.bbox_head.{stage}.fc_cls" for stage in range(3)],
}


@cache
def pretraining(name: str) -> tuple[str, dict[str, torch.Tensor]]:
    """Config text and tensors of a pre-trainer whose momentum network differs from its online one."""
    register_all_modules(init_default_scope=True)
    config = detector(name)
    model = BoxDomainPretrainer(detector=config)
    model.init_weights()  # Deformable DETR's level_embed is made of uninitialised memory, which may be NaN
    for parameter in model.momentum.parameters():
        parameter.data += 1.0
    text = Config({"model": {"type": "aligndet.BoxDomainPretrainer", "detector": config}}).pretty_text
    return text, model.state_dict()


def pretrained(name: str, path: Path) -> dict[str, torch.Tensor]:
    """Write a pre-training checkpoint as mmengine does; returns its tensors."""
    text, state = pretraining(name)
    torch.save({"meta": {"cfg": text}, "state_dict": state}, path)
    return state


def stock(name: str) -> Any:
    return MODELS.build(detector(name))


def layer_keys(layers: list[str]) -> set[str]:
    return {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


@pytest.mark.parametrize("name", [*PAPER, "deformable_detr", "cascade_rcnn"])
def test_stock_detector_misses_only_its_classifiers(name: str, tmp_path: Path) -> None:
    before = pretrained(name, tmp_path / "pre.pth")
    report = export(tmp_path / "pre.pth", tmp_path / "out.pth")
    state = torch.load(tmp_path / "out.pth", weights_only=True)["state_dict"]
    result = stock(name).load_state_dict(state, strict=False)
    assert set(result.missing_keys) == layer_keys(CLASSIFIERS[name]) == set(report.classifier)
    assert result.unexpected_keys == []
    for key in report.kept:
        assert torch.equal(state[key], before[f"online.{key}"]), key
    total = len(report.kept) + len(report.tiled) + len(report.initial) + len(report.classifier)
    assert total == len(stock(name).state_dict())


def test_a_second_name_of_a_tensor_is_not_foreign(tmp_path: Path) -> None:
    """DDQ stores branches of its head under its decoder too, once it has run."""
    pretrained("retinanet", tmp_path / "pre.pth")
    content = torch.load(tmp_path / "pre.pth", weights_only=False)
    state = content["state_dict"]
    state["online.neck.alias.weight"] = state["online.bbox_head.retina_reg.weight"]
    torch.save(content, tmp_path / "alias.pth")
    report = export(tmp_path / "alias.pth", tmp_path / "out.pth")
    assert "neck.alias.weight" not in report.dropped
    state["online.neck.alias.weight"] = state["online.neck.alias.weight"].clone()
    torch.save(content, tmp_path / "foreign.pth")
    with pytest.raises(CheckpointError, match=r"neck\.alias\.weight"):
        export(tmp_path / "foreign.pth", tmp_path / "out.pth")


def test_tiled_regressor_is_equivalent(tmp_path: Path) -> None:
    """Every class of the stock head predicts the boxes that the class-agnostic head predicts."""
    before = pretrained("faster_rcnn", tmp_path / "pre.pth")
    report = export(tmp_path / "pre.pth", tmp_path / "out.pth")
    assert report.tiled == ["roi_head.bbox_head.fc_reg.weight", "roi_head.bbox_head.fc_reg.bias"]
    model = stock("faster_rcnn")
    model.load_state_dict(torch.load(tmp_path / "out.pth")["state_dict"], strict=False)
    features = torch.randn(5, 64)
    agnostic = nn.functional.linear(
        features,
        before["online.roi_head.bbox_head.fc_reg.weight"],
        before["online.roi_head.bbox_head.fc_reg.bias"],
    )
    deltas = model.roi_head.bbox_head.fc_reg(features).view(5, 80, 4)
    torch.testing.assert_close(deltas, agnostic[:, None].expand(5, 80, 4))


def test_mask_head_has_fixed_initial_values(tmp_path: Path) -> None:
    pretrained("mask_rcnn", tmp_path / "pre.pth")
    reports = [export(tmp_path / "pre.pth", tmp_path / f"{i}.pth") for i in range(2)]
    states = [torch.load(tmp_path / f"{i}.pth")["state_dict"] for i in range(2)]
    assert len(reports[0].initial) == 12
    assert {reports[0].parts[key] for key in reports[0].initial} == {"roi_head.mask_head"}
    for key in reports[0].initial:
        assert torch.equal(states[0][key], states[1][key])


@pytest.mark.parametrize(
    ("name", "loss", "state"),
    [
        ("retinanet", {"type": "GHMC", "bins": 5, "momentum": 0.75}, {"edges", "acc_sum"}),
        ("mask_rcnn", {"type": "SeesawLoss", "num_classes": 80}, {"cum_samples"}),
    ],
)
def test_what_a_class_loss_counts_stays_with_the_classifier(
    name: str, loss: dict[str, Any], state: set[str], tmp_path: Path
) -> None:
    config = detector(name)
    head = config.roi_head.bbox_head if "roi_head" in config else config.bbox_head
    head.loss_cls = loss
    model = BoxDomainPretrainer(detector=config)
    text = Config({"model": {"type": "aligndet.BoxDomainPretrainer", "detector": config}}).pretty_text
    torch.save({"meta": {"cfg": text}, "state_dict": model.state_dict()}, tmp_path / "pre.pth")
    report = export(tmp_path / "pre.pth", tmp_path / "out.pth")
    assert {key.rpartition(".")[2] for key in report.classifier if ".loss_cls." in key} == state
    assert not report.missing
    MODELS.build(config).load_state_dict(torch.load(tmp_path / "out.pth")["state_dict"], strict=False)


def test_momentum_network(tmp_path: Path) -> None:
    before = pretrained("retinanet", tmp_path / "pre.pth")
    report = export(tmp_path / "pre.pth", tmp_path / "out.pth", "momentum")
    state = torch.load(tmp_path / "out.pth")["state_dict"]
    head = "bbox_head.retina_reg.weight"
    assert torch.equal(state[head], before[f"momentum.{head}"])
    assert not torch.equal(state[head], before[f"online.{head}"])
    assert torch.equal(state["backbone.conv1.weight"], before["online.backbone.conv1.weight"])
    assert report.network == "momentum"


@pytest.mark.parametrize(("network", "code"), [("online", 2), ("momentum", 0)])
def test_weights_that_are_not_finite_are_refused(
    network: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, state = pretraining("retinanet")
    head = "bbox_head.retina_reg.weight"
    bad = state[f"online.{head}"].clone()
    bad[0, 0, 0, 0] = torch.nan
    path, out = tmp_path / "pre.pth", tmp_path / "out.pth"
    torch.save({"meta": {"cfg": text}, "state_dict": {**state, f"online.{head}": bad}}, path)
    assert main([str(path), str(out), "--network", network]) == code
    told = capsys.readouterr().err
    assert out.exists() == (code == 0), told
    if code:
        assert told.count("\n") == 1
        assert f"{path}: {head} is not finite: the training that wrote it diverged" in told


def test_other_number_of_classes(tmp_path: Path) -> None:
    """The regressor is repeated for the classes of the config given, not of the one pre-trained."""
    pretrained("faster_rcnn", tmp_path / "pre.pth")
    target = detector("faster_rcnn")
    target.roi_head.bbox_head.num_classes = 3
    export(tmp_path / "pre.pth", tmp_path / "out.pth", config=Config({"model": target}))
    assert len(torch.load(tmp_path / "out.pth")["state_dict"]["roi_head.bbox_head.fc_reg.bias"]) == 12


def test_exported_checkpoint_is_refitted_to_other_classes(tmp_path: Path) -> None:
    """80 equal blocks are one regressor: fine-tuning on 3 classes keeps it."""
    before = pretrained("faster_rcnn", tmp_path / "pre.pth")
    export(tmp_path / "pre.pth", tmp_path / "out.pth")
    target = detector("faster_rcnn")
    target.roi_head.bbox_head.num_classes = 3
    state, report = fit_plain(read_checkpoint(tmp_path / "out.pth"), target)
    key = "roi_head.bbox_head.fc_reg.bias"
    assert torch.equal(state[key], before[f"online.{key}"].repeat(3))
    assert set(report.missing + report.classifier) == layer_keys(CLASSIFIERS["faster_rcnn"])


def test_checkpoint_of_another_detector(tmp_path: Path) -> None:
    pretrained("retinanet", tmp_path / "pre.pth")
    with pytest.raises(CheckpointError, match="of another detector than FCOS"):
        export(tmp_path / "pre.pth", tmp_path / "out.pth", config=Config({"model": detector("fcos")}))
    assert not (tmp_path / "out.pth").exists()


def test_nothing_matches(tmp_path: Path) -> None:
    pretrained("retinanet", tmp_path / "pre.pth")
    content = torch.load(tmp_path / "pre.pth")
    content["state_dict"] = {"online.other.weight": torch.zeros(2)}
    torch.save(content, tmp_path / "pre.pth")
    with pytest.raises(CheckpointError, match="none of its 1 tensors fits RetinaNet"):
        export(tmp_path / "pre.pth", tmp_path / "out.pth")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["backbone.conv1.weight", "neck.x", "bbox_head.y"], "plain detector"),
        (["online_backbone.backbone.conv1.weight"], "keys such as online_backbone"),
        (["module.encoder_q.conv1.weight"], "MoCo"),
        (["conv1.weight", "layer1.0.conv1.weight"], "bare backbone"),
        (["backbone.conv1.weight", "head.fc.weight"], "backbone checkpoint with parts backbone, head"),
        (["a.b"], "keys such as a.b"),
    ],
)
def test_other_checkpoints_are_named(keys: list[str], words: str, tmp_path: Path) -> None:
    state = {key: torch.zeros(1) for key in keys}
    assert words in looks_like(state)
    torch.save({"state_dict": state}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"not a pre-training checkpoint but .*--config"):
        export(tmp_path / "x.pth", tmp_path / "out.pth")


def test_not_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.pth").write_text("hello")
    assert main([tmp_path / "x.pth", tmp_path / "out.pth"]) == 2
    assert "expected a checkpoint (.pth), got a text file" in capsys.readouterr().err
    (tmp_path / "x.pth").write_bytes(b"\0\1\2\3")
    assert main([tmp_path / "x.pth", tmp_path / "out.pth"]) == 2
    assert f"{tmp_path}/x.pth" in capsys.readouterr().err


def test_the_report_is_written_as_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pretrained("retinanet", tmp_path / "pre.pth")
    assert main([tmp_path / "pre.pth", tmp_path / "out.pth", "--json", tmp_path / "report.json"]) == 0
    assert "kept" in capsys.readouterr().out
    counts: dict[str, Any] = json.loads((tmp_path / "report.json").read_text())["counts"]
    assert counts["classifier"] == {"bbox_head": 2}
    assert set(counts["kept"]) == {"backbone", "neck", "bbox_head"}


def test_building_stock_never_downloads_and_leaves_the_random_state(monkeypatch: pytest.MonkeyPatch) -> None:
    config = detector("retinanet")
    config.backbone.init_cfg = {"type": "Pretrained", "checkpoint": "https://example.invalid/x.pth"}
    config.backbone.pretrained = "torchvision://resnet18"
    assert "init_cfg" not in without_downloads(config).backbone
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *a, **k: pytest.fail("downloads"))
    before = torch.random.get_rng_state()
    first, second = build_stock(config).state_dict(), build_stock(config).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_same_content_is_the_same_file(tmp_path: Path) -> None:
    """prove names runs by the content of their start; a rewritten start must not look new."""
    state = {"a": torch.arange(3.0)}
    for name in ("one.pth", "other.pth"):
        write_checkpoint(tmp_path / name, state, {"aligndet": {}})
    assert (tmp_path / "one.pth").read_bytes() == (tmp_path / "other.pth").read_bytes()


def test_a_checkpoint_that_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    """A part that pre-training has and the checkpoint lacks would start at random unnoticed."""
    pretrained("retinanet", tmp_path / "pre.pth")
    content = torch.load(tmp_path / "pre.pth")
    del content["state_dict"]["online.neck.fpn_convs.0.conv.weight"]
    torch.save(content, tmp_path / "pre.pth")
    with pytest.raises(CheckpointError, match=r"1 is missing, such as neck\.fpn_convs\.0\.conv\.weight"):
        export(tmp_path / "pre.pth", tmp_path / "out.pth")
    report = export(tmp_path / "pre.pth", tmp_path / "out.pth", allow_partial=True)
    assert report.missing == ["neck.fpn_convs.0.conv.weight"]
