"""Generated images and proposals are of the kind that a config's own loader reads."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from aligndet.checking.data import MOST, SHAPES, Kind, channels_of, generate, kind_for, regions
from aligndet.checking.setting import setting, shrink, without_network
from aligndet.proposals.formats import read_proposals


@pytest.mark.parametrize(
    ("loader", "kind"),
    [
        ({}, Kind(3, ".png")),
        (dict(type="LoadImageFromFile"), Kind(3, ".png")),
        (dict(type="mmdet.LoadImageFromFile", color_type="color_ignore_orientation"), Kind(3, ".png")),
        (dict(type="LoadImageFromFile", color_type="grayscale"), Kind(1, ".png")),
        (dict(type="LoadImageFromFile", color_type="unchanged"), Kind(4, ".png")),
        (
            dict(type="LoadImageFromFile", color_type="unchanged", imdecode_backend="tifffile"),
            Kind(4, ".tif"),
        ),
        (dict(type="LoadImageFromFile", imdecode_backend="turbojpeg"), Kind(3, ".jpg")),
        (dict(type="LoadOfTheUser"), Kind(4, ".png")),
    ],
)
def test_the_kind_of_images_that_a_loader_reads(loader: dict[str, Any], kind: Kind) -> None:
    assert kind_for(loader, dict(backbone=dict(in_channels=4))) == kind


@pytest.mark.parametrize(
    ("model", "channels"),
    [
        (dict(backbone=dict(in_channels=6)), 6),
        (dict(backbone=dict(in_chans=2), data_preprocessor=dict(mean=[0.0])), 2),
        (dict(backbone={}, data_preprocessor=dict(data_preprocessor=dict(mean=[1.0] * 4))), 4),
        (dict(backbone={}), 3),
    ],
)
def test_the_channels_of_a_model(model: dict[str, Any], channels: int) -> None:
    assert channels_of(model) == channels


def test_proposals_lie_in_their_images_and_a_second_kind_replaces_the_first(tmp_path: Path) -> None:
    generate(tmp_path, Kind(3, ".jpg"))
    data = generate(tmp_path, Kind(1, ".png"))
    store = read_proposals(str(data.proposals))
    assert len(store) == len(SHAPES) == len(list(data.images.iterdir()))
    for number, (width, height) in enumerate(SHAPES):
        image: Any = cv2.imread(str(data.images / store.file_name(number)), cv2.IMREAD_UNCHANGED)
        assert image.shape == (height, width), "grey"
        assert store.size(number) == (width, height)
        boxes = store.boxes(number)
        assert 6 <= len(boxes) <= MOST, "three objects and their pairs, or more"
        assert (boxes >= 0).all()
        assert (boxes <= [width, height, width, height]).all()


def test_regions_are_objects_and_pairs_of_them() -> None:
    objects = np.array([[0, 0, 10, 10], [20, 5, 30, 40], [0, 0, 5, 60]])
    expected = [*objects.tolist(), [0, 0, 30, 40], [0, 0, 10, 60], [0, 0, 30, 60]]
    assert regions(objects).tolist() == expected


# what is changed in the wrapped config


def wrapped(**loader: Any) -> Config:
    view = [
        dict(type="RandomChoiceResize", scales=[(1333, 640), (1333, 800)], keep_ratio=True),
        dict(type="RandomErasing", scale=(0.02, 0.3)),
        dict(type="aligndet.PackView"),
    ]
    steps = [dict(type="LoadImageFromFile"), dict(type="MultiBranch", online=view, momentum=view)]
    filled = dict(type="BatchFixedSizePad", size=(1024, 1024))
    detector = dict(
        backbone=dict(init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet50"), depth=50),
        teacher=dict(weights="https://example.com/teacher.pth", name="a://b"),
        neck=dict(pretrained="https://example.com/neck.pth", init_cfg=dict(type="Xavier")),
        bbox_head=[dict(init_cfg=dict(type="Pretrained", checkpoint="own/head.pth"), pretrained=True)],
        data_preprocessor=dict(batch_augments=[filled]),
    )
    return Config(
        dict(
            model=dict(type="aligndet.BoxDomainPretrainer", detector=detector),
            train_dataloader=dict(dataset=dict(pipeline=steps), **loader),
            default_hooks=dict(checkpoint=dict(type="CheckpointHook", max_keep_ckpts=3)),
            visualizer=dict(type="DetLocalVisualizer", vis_backends=[dict(type="WandbVisBackend")]),
        )
    )


def test_views_and_filled_batches_shrink_by_one_factor() -> None:
    config = wrapped()
    shrink(config, 80)
    online, momentum = (config.train_dataloader.dataset.pipeline[1][view] for view in ("online", "momentum"))
    assert online[0]["scales"] == momentum[0]["scales"] == [(133, 80)]
    assert online[1]["scale"] == (0.02, 0.3), "a factor is no size"
    assert config.model.detector.data_preprocessor.batch_augments[0]["size"] == (102, 102)


def test_nothing_is_downloaded_and_files_of_this_machine_stay() -> None:
    model = wrapped().model
    without_network(model)
    assert "init_cfg" not in model.detector.backbone
    assert model.detector.teacher == dict(weights=None, name="a://b"), "an address of no weights stays"
    assert model.detector.neck == dict(pretrained=None, init_cfg=dict(type="Xavier"))
    assert model.detector.bbox_head[0].init_cfg.checkpoint == "own/head.pth"
    assert model.detector.bbox_head[0].pretrained is False


def test_of_mmdets_own_configs_files_of_weights_are_left_out_too(tmp_path: Path) -> None:
    config = setting(wrapped(), tmp_path, None, zoo=True)
    assert not config.model.detector.bbox_head[0].get("init_cfg")
    assert config.model.detector.neck.init_cfg == dict(type="Xavier")


def test_a_check_loads_in_its_process_and_sends_nothing_away(tmp_path: Path) -> None:
    original = wrapped(batch_size=16, num_workers=8, persistent_workers=True, prefetch_factor=4)
    config = setting(original, tmp_path, None)
    loader = config.train_dataloader
    assert (loader.batch_size, loader.num_workers, loader.persistent_workers) == (2, 0, False)
    assert "prefetch_factor" not in loader
    assert "Wandb" not in str(config.visualizer)
    assert config.default_hooks.checkpoint == dict(
        type="CheckpointHook", max_keep_ckpts=3, save_optimizer=False
    )
    assert loader.dataset.pipeline[1].online[0]["scales"][0] == (1333, 640), "without a size they stay"
    assert original.train_dataloader.batch_size == 16
    assert setting(wrapped(batch_size=1), tmp_path, None).train_dataloader.batch_size == 1
