"""Weights meet images normalised as in their training, or an error says what to write."""

import aligndet  # noqa: F401, I001  first: makes mmcv importable where it has no compiled ops

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from aligndet.image_domain.normalisation import (
    IMAGENET,
    Normalisation,
    NormalisationError,
    check_normalisation,
    normalisation_of,
)
from aligndet.cli.main import main
from aligndet.training.run import load_config
from aligndet.transfer.export import export
from aligndet.comparison.inputs import ready_start
from aligndet.comparison.settings import Start
from aligndet.transfer.stock import build_stock
from tests.small import detector

CAFFE = Normalisation((103.53, 116.28, 123.675), (1.0, 1.0, 1.0), "bgr")
RGB = {"mean": list(IMAGENET.mean), "std": list(IMAGENET.std), "bgr_to_rgb": True}
STOCK = {
    "RetinaNet": "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py",
    "DETR": "mmdet::detr/detr_r50_8xb2-150e_coco.py",
    "Faster R-CNN": "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
    "Mask R-CNN, Swin": "mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py",
}


def checkpoint(folder: Path, known: Normalisation | None) -> str:
    meta = {"normalisation": known.as_dict() if known else None}
    torch.save({"state_dict": {"conv1.weight": torch.ones(1)}, "meta": meta}, folder / "b.pth")
    return str(folder / "b.pth")


def config(start: dict[str, Any] | None = None, **preprocessor: Any) -> Config:
    backbone = {"type": "ResNet", "init_cfg": start}
    return Config({"model": {"backbone": backbone, "data_preprocessor": preprocessor}})


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (IMAGENET, True),
        (Normalisation((123.7, 116.3, 103.5), (58.4, 57.1, 57.4), "rgb"), True),  # as makers round it
        (Normalisation(IMAGENET.mean, IMAGENET.std, "bgr"), False),  # the numbers alone do not tell
        (Normalisation((127.5,) * 3, (127.5,) * 3, "rgb"), False),
        (Normalisation(IMAGENET.mean, (57.375, 57.12, 58.395), "rgb"), False),
        (None, False),
    ],
)
def test_what_counts_as_the_same(other: Normalisation | None, same: bool) -> None:
    assert IMAGENET.same(other) is same


def test_a_pretrainer_s_own_preprocessor_counts_and_two_views_are_looked_through() -> None:
    inner = {"mean": [1, 2, 3], "std": [4, 5, 6]}
    detector = {"data_preprocessor": {"mean": [0, 0, 0], "std": [1, 1, 1], "bgr_to_rgb": True}}
    both = {"data_preprocessor": {"type": "two views", "data_preprocessor": inner}, "detector": detector}
    assert normalisation_of({"model": both}) == Normalisation((1, 2, 3), (4, 5, 6), "bgr")
    assert normalisation_of({"model": {"detector": detector}}) == Normalisation((0, 0, 0), (1, 1, 1), "rgb")


@pytest.mark.parametrize("stock", STOCK.values(), ids=STOCK)
def test_stock_detectors_in_both_stages(stock: str, tmp_path: Path) -> None:
    """Through ``init_cfg`` of fine-tuning and of pre-training, whatever the detector."""
    model = load_config(stock).model
    for key, cfg in (
        ("model.backbone.init_cfg.checkpoint", Config({"model": model})),
        ("model.detector.backbone.init_cfg.checkpoint", Config({"model": {"detector": model}})),
    ):
        cfg.merge_from_dict({key: checkpoint(tmp_path, IMAGENET)})
        assert check_normalisation(cfg) == [key]
        checkpoint(tmp_path, CAFFE)
        with pytest.raises(NormalisationError) as caught:
            check_normalisation(cfg)
        said = str(caught.value)
        assert said.startswith(f"{key}: ")
        assert f"{key.split('.backbone')[0]}.data_preprocessor = dict(mean=[103.53, 116.28, 123.675]" in said
        assert "bgr_to_rgb=False" in said
        cfg.check_normalisation = False
        assert check_normalisation(cfg) == []


def test_load_from_and_published_weights(tmp_path: Path) -> None:
    cfg = config({"type": "Pretrained", "checkpoint": "torchvision://resnet50"}, **RGB)
    cfg.load_from = checkpoint(tmp_path, IMAGENET)
    assert check_normalisation(cfg) == ["load_from", "model.backbone.init_cfg.checkpoint"]
    checkpoint(tmp_path, CAFFE)
    with pytest.raises(NormalisationError, match=r"^load_from: "):
        check_normalisation(cfg)


def test_the_config_in_a_checkpoint_speaks_for_it(tmp_path: Path) -> None:
    text = "model = dict(data_preprocessor=dict(mean=[1, 2, 3], std=[4, 5, 6], to_rgb=True))"
    torch.save({"state_dict": {}, "meta": {"cfg": text}}, tmp_path / "epoch_1.pth")
    cfg = config(None, **RGB)
    cfg.load_from = str(tmp_path / "epoch_1.pth")
    with pytest.raises(NormalisationError, match=r"mean=\[1, 2, 3\], std=\[4, 5, 6\], bgr_to_rgb=True"):
        check_normalisation(cfg)


def test_a_detector_that_does_not_normalise_is_told(tmp_path: Path) -> None:
    cfg = config({"type": "Pretrained", "checkpoint": checkpoint(tmp_path, IMAGENET)}, pad_size_divisor=32)
    with pytest.raises(NormalisationError, match="no mean and std"):
        check_normalisation(cfg)


def test_what_is_not_known_is_passed_over(tmp_path: Path) -> None:
    for name in (checkpoint(tmp_path, None), "https://nowhere.invalid/x.pth", "gone.pth"):
        assert check_normalisation(config({"type": "Pretrained", "checkpoint": name}, **RGB)) == []


def test_the_train_command_checks_before_it_builds_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = config({"type": "Pretrained", "checkpoint": checkpoint(tmp_path, CAFFE)}, **RGB)
    cfg.dump(tmp_path / "detector.py")
    assert main(["train", str(tmp_path / "detector.py"), "--work-dir", str(tmp_path / "work")]) == 2
    assert "check_normalisation=False" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()


def test_an_exported_detector_records_it_and_a_comparison_checks_it(tmp_path: Path) -> None:
    """Stage 2 read the detector's own normalisation; the exported file carries it on."""
    meta = {"cfg": Config({"model": {"detector": detector("fcos")}}).pretty_text}
    online = {f"online.{key}": value for key, value in build_stock(detector("fcos")).state_dict().items()}
    torch.save({"state_dict": online, "meta": meta}, tmp_path / "epoch_12.pth")
    export(tmp_path / "epoch_12.pth", tmp_path / "detector.pth")
    exported = torch.load(tmp_path / "detector.pth")["meta"]["normalisation"]
    assert exported == normalisation_of({"model": detector("fcos")}).as_dict()  # type: ignore[union-attr]
    base, start = config(None, **RGB), Start("aligndet", tmp_path / "detector.pth")
    with pytest.raises(NormalisationError, match="load_from: "):
        ready_start(start, base, None)  # type: ignore[arg-type]  # not reached
