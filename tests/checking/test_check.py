"""One config takes the path of training, and its row says what training does, with the true reason."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from aligndet.checking import landing
from aligndet.checking.check import Settings, check_config
from aligndet.checking.data import Data
from aligndet.checking.row import FAILED, NO_DETECTOR, NOT_MMDET, NOT_TRIED, OK, REFUSED, UNREADABLE, Row
from aligndet.common.config_text import config_text
from aligndet.proposals.store_writer import StoreWriter
from tests.checking.project import NAME
from tests.small import tiny

IMPORTS = dict(imports=[NAME], allow_failed_imports=False)


def pipeline(*loaders: dict[str, Any]) -> dict[str, Any]:
    """The data of a config that loads images by these steps."""
    steps = [*loaders, dict(type="LoadAnnotations", with_bbox=True), dict(type="PackDetInputs")]
    return dict(batch_size=2, num_workers=0, dataset=dict(type="CocoDataset", pipeline=steps))


def config_file(folder: Path, model: Any, name: str = "detector.py", **sections: Any) -> str:
    """Write a config of a user's project."""
    path = folder / name
    path.write_text(
        config_text(Config(dict(default_scope="mmdet", custom_imports=IMPORTS, model=model, **sections)))
    )
    return str(path)


def checked(folder: Path, model: Any, settings: Settings | None = None, **sections: Any) -> Row:
    return check_config(config_file(folder, model, **sections), settings)


def test_a_detector_that_is_served(tmp_path: Path) -> None:
    row = checked(tmp_path, tiny(), Settings(folder=str(tmp_path)))
    assert (row.status, row.reason) == (OK, "")
    assert (row.detector, row.head, row.adapter) == ("RetinaNet", "RetinaHead", "AnchorAdapter")
    assert row.size == 128
    assert 0 < row.positives < row.slots
    assert row.contrast > 0
    assert row.losses > 0
    stock = landing.plain(tiny()).state_dict()
    assert (row.missing, row.kept, row.initial) == (2, len(stock) - 2, 0), "the classifier's weight and bias"
    assert [path.name for path in tmp_path.iterdir()] == ["detector.py"], "nothing is left behind"


def test_a_config_whose_types_are_classes(tmp_path: Path) -> None:
    """Configs in mmengine's new style, where ``type`` is a class and no text."""
    from mmdet.models import FPN, ResNet, RetinaHead, RetinaNet

    model = tiny()
    model.type, model.backbone.type, model.neck.type, model.bbox_head.type = (
        RetinaNet,
        ResNet,
        FPN,
        RetinaHead,
    )
    path = config_file(tmp_path, model)
    assert "from mmdet.models" in Path(path).read_text()
    row = check_config(path)
    assert (row.status, row.detector, row.head) == (OK, "RetinaNet", "RetinaHead")


@pytest.mark.parametrize(
    ("channels", "loader", "status"),
    [
        (1, dict(type="LoadImageFromFile", color_type="grayscale"), OK),
        (4, dict(type="LoadImageFromFile", color_type="unchanged"), OK),
        (4, dict(type="LoadFourChannels"), OK),
        (4, dict(type="LoadImageFromFile"), FAILED),
    ],
)
def test_images_have_the_channels_that_the_loader_gives(
    tmp_path: Path, channels: int, loader: dict[str, Any], status: str
) -> None:
    """Models of one and four channels: a loader that gives another number than the model takes fails here as
    it fails in training."""
    model = tiny()
    model.backbone.in_channels = channels
    model.data_preprocessor.update(mean=[100.0], std=[50.0], bgr_to_rgb=False)  # mmdet takes one or three
    row = checked(tmp_path, model, Settings(sizes=(64,)), train_dataloader=pipeline(loader))
    assert row.status == status, row.reason
    if status == FAILED:
        assert "to have 4 channels, but got 3 channels" in row.reason


def test_a_batch_augmentation_that_reads_masks_fails_as_in_training(tmp_path: Path) -> None:
    model = tiny()
    model.data_preprocessor.batch_augments = [dict(type="BlendByMask")]
    row = checked(tmp_path, model, Settings(sizes=(64,)))
    assert row.status == FAILED
    assert "masks" in row.reason


def arrays(folder: Path) -> Data:
    """Images in a kind of file that nobody generates, with proposals."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    with StoreWriter(folder / "proposals") as store:
        for number in range(4):
            image = cv2.resize(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), (128, 128))
            np.save(folder / "images" / f"{number}.npy", image)
            corners = rng.uniform(0, 64, (8, 2))
            boxes = np.concatenate([corners, corners + rng.uniform(24, 64, (8, 2))], axis=1)
            store.append(f"{number}.npy", number + 1, (128, 128), boxes)
    return Data(folder / "images", folder / "proposals")


def test_a_loader_of_other_files_is_not_tried_and_with_its_own_images_it_is(tmp_path: Path) -> None:
    """A loader that reads no generated image says nothing about training: neither good nor bad."""
    loader = pipeline(dict(type="LoadArray"))
    row = checked(tmp_path, tiny(), Settings(sizes=(64,)), train_dataloader=loader)
    assert row.status == NOT_TRIED
    assert "LoadArray" in row.reason
    assert "--images DIR --proposals FILE" in row.reason
    settings = Settings(sizes=(128,), data=arrays(tmp_path))
    row = checked(tmp_path, tiny(), settings, train_dataloader=loader)
    assert row.status == OK, row.reason


@pytest.mark.parametrize(("least", "sizes", "size"), [(90, (64, 96), 96), (500, (64, None), 0)])
def test_a_larger_size_is_tried_where_a_smaller_one_fails(
    tmp_path: Path, least: int, sizes: tuple[int | None, ...], size: int
) -> None:
    """Up to the config's own, at which training runs; here 512 px, fixed."""
    model = tiny()
    model.backbone.update(type="LargeOnly", least=least)
    test = [dict(type="LoadImageFromFile"), dict(type="Resize", scale=(512, 512)), dict(type="PackDetInputs")]
    row = checked(tmp_path, model, Settings(sizes=sizes), test_dataloader=dict(dataset=dict(pipeline=test)))
    assert (row.status, row.size) == (OK, size), row.reason
    row = checked(tmp_path, model, Settings(sizes=(64,)), test_dataloader=dict(dataset=dict(pipeline=test)))
    assert row.status == FAILED
    assert f"expected at least {least} px" in row.reason


def test_a_layer_without_gradient_is_noted_and_of_the_zoo_refused(tmp_path: Path) -> None:
    """Training goes on without the layer, so its verdict is good; mmdet's own heads have none."""
    model = tiny()
    model.bbox_head.type = "SpareLayer"
    row = checked(tmp_path, model, Settings(sizes=(128,)))
    assert (row.status, row.note) == (
        OK,
        "2 tensors get no gradient: online.bbox_head.spare.weight, online.bbox_head.spare.bias",
    )
    row = checked(tmp_path, model, Settings(sizes=(128,), zoo=True))
    assert row.status == FAILED
    assert "2 tensors get no gradient" in row.reason


def test_losses_that_are_no_numbers_fail(tmp_path: Path) -> None:
    model = tiny()
    model.bbox_head.type = "LossOfNothing"
    row = checked(tmp_path, model, Settings(sizes=(64,)))
    assert row.status == FAILED
    assert "losses are not finite: loss_bbox" in row.reason


def test_an_export_that_changes_a_tensor_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every exported tensor is compared with what training left."""
    real = landing.export

    def tampering(checkpoint: Path, out: Path) -> Any:
        report = real(checkpoint, out)
        content = torch.load(out)
        content["state_dict"]["neck.fpn_convs.0.conv.bias"] += 1
        torch.save(content, out)
        return report

    monkeypatch.setattr(landing, "export", tampering)
    row = checked(tmp_path, tiny(), Settings(sizes=(64,)))
    assert row.status == FAILED
    assert "1 tensors changed on the way: neck.fpn_convs.0.conv.bias" in row.reason


# the true reason


def test_weights_of_this_machine_that_are_not_there_are_named(tmp_path: Path) -> None:
    model = tiny()
    model.backbone.init_cfg = dict(type="Pretrained", checkpoint="lost/backbone.pth")
    row = checked(tmp_path, model)
    assert row.status == FAILED
    assert "lost/backbone.pth" in row.reason


def test_mistakes_are_named_as_the_projects(tmp_path: Path) -> None:
    """A path, a package, a module, a type, a syntax: each has its own reason, and none is laid to mmdet."""
    (tmp_path / "package.py").write_text("custom_imports = dict(imports=['no_such_package'])\nmodel = dict()")
    (tmp_path / "syntax.py").write_text("model = dict(\n")
    (tmp_path / "data.py").write_text("dataset = 1")
    (tmp_path / "ends.py").write_text("raise SystemExit('not today')")
    foreign = tiny()
    foreign.bbox_head.type = "HeadOfTheUser"
    unserved = tiny()
    unserved.bbox_head.type = "HeadOfItsOwn"
    generator = tiny()
    generator.bbox_head.anchor_generator.type = "NoSuchGenerator"
    faults = {
        str(tmp_path / "gone.py"): (UNREADABLE, "no such file"),
        str(tmp_path / "package.py"): (UNREADABLE, "no_such_package"),
        str(tmp_path / "syntax.py"): (UNREADABLE, "line"),
        str(tmp_path / "ends.py"): (UNREADABLE, "not today"),
        str(tmp_path / "data.py"): (NO_DETECTOR, "no model"),
        config_file(tmp_path, foreign, "foreign.py"): (FAILED, "HeadOfTheUser"),
        config_file(tmp_path, unserved, "unserved.py"): (REFUSED, "No adapter serves the head HeadOfItsOwn"),
        config_file(tmp_path, generator, "generator.py"): (FAILED, "NoSuchGenerator"),
        "mmdet::solo/solo_r50_fpn_1x_coco.py": (REFUSED, "masks and no boxes"),
        "mmdet::cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco.py": (REFUSED, "predicts corners"),
    }
    for name, (status, reason) in faults.items():
        row = check_config(name)
        assert row.status == status, row
        assert reason in row.reason
        assert not row.reason.startswith(f"config {name}"), "the name stands beside it"
        assert "mmdet cannot" not in row.reason
        assert "\n" not in row.reason


def test_only_of_its_own_zoo_it_is_said_that_mmdet_cannot(tmp_path: Path) -> None:
    """mmdet ships a config whose head it cannot build; the same model of a user's is the user's."""
    name = "mmdet::cascade_rpn/cascade-rpn_r50-caffe_fpn_1x_coco.py"
    row = check_config(name, Settings(zoo=True))
    assert row.status == NOT_MMDET
    assert "num_classes" in row.reason
    row = check_config(name)
    assert row.status == FAILED
    assert "num_classes" in row.reason


def test_options_of_training_are_taken(tmp_path: Path) -> None:
    options = {"model.detector.bbox_head.type": "NoHeadAtAll"}
    row = checked(tmp_path, tiny(), Settings(options=options))
    assert row.status == FAILED
    assert "NoHeadAtAll" in row.reason


def test_norms_on_maps_of_one_pixel_get_two_images() -> None:
    """The zoo's second batch is of one image, and SSDLite's last maps are of 1x1."""
    row = check_config("mmdet::ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py", Settings(zoo=True))
    assert (row.status, row.reason) == (OK, "")
