"""A stock config and proposals are enough: the generated pre-training config, by family, and run."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.recipe import pretraining_config
from aligndet.common.configs import read_config
from aligndet.training.run import wrap_config
from tests.box_domain.data.test_dataset import write
from tests.small import STOCK, detector
from tools.train import main

BOXES = [[4.0, 4, 30, 30], [30.0, 20, 28, 40], [10.0, 30, 34, 24]]
FAMILIES = {  # stock config -> optimiser, rate, epochs, proposals, first view size and last
    STOCK["retinanet"]: ("SGD", 0.01, 12, 80, (1333, 640), (1333, 800)),
    STOCK["mask_rcnn"]: ("SGD", 0.02, 12, 80, (1333, 640), (1333, 800)),
    STOCK["detr"]: ("AdamW", 5e-5, 50, 50, (1333, 640), (1333, 800)),
    "mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py": ("AdamW", 1e-4, 12, 80, (1333, 640), (1333, 800)),
    "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py": ("AdamW", 1e-4, 12, 80, (512, 512), (640, 640)),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_schedule_follows_the_family(name: str, tmp_path: Path) -> None:
    optimiser, rate, epochs, boxes, smallest, largest = FAMILIES[name]
    stock = read_config(name)
    config = pretraining_config(stock, str(write(tmp_path, BOXES)), "photos")
    assert config.optim_wrapper.optimizer.type == optimiser
    assert config.optim_wrapper.optimizer.lr == rate
    assert config.train_cfg.max_epochs == epochs
    assert config.model.detector == stock.model
    assert config.train_dataloader.batch_size == stock.train_dataloader.batch_size
    assert config.train_dataloader.dataset.data_prefix.img == "photos"
    steps = {step["type"]: step for step in config.train_dataloader.dataset.pipeline}
    assert steps["aligndet.SampleProposals"].num == boxes
    for view in ("online", "momentum"):
        scales = steps["MultiBranch"][view][0]["scales"]
        assert (tuple(scales[0]), tuple(scales[-1])) == (smallest, largest)


def test_a_detector_of_one_size_gets_views_of_that_size(tmp_path: Path) -> None:
    config = pretraining_config(read_config("mmdet::ssd/ssd300_coco.py"), str(write(tmp_path, BOXES)), "x")
    resize = config.train_dataloader.dataset.pipeline[-1]["online"][0]
    assert resize == {"type": "Resize", "scale": (300, 300), "keep_ratio": False}


def test_a_config_without_a_box_detector_is_refused(tmp_path: Path) -> None:
    proposals = str(write(tmp_path, BOXES))
    with pytest.raises(ValueError, match="masks and no boxes"):
        wrap_config("mmdet::solo/solo_r50_fpn_1x_coco.py", proposals, "x", tmp_path / "solo.py")
    with pytest.raises(ValueError, match="no model in this config"):
        pretraining_config(Config({"a": 1}), proposals, "x")


def test_the_train_tool_wraps_runs_and_leaves_a_config_to_edit(tmp_path: Path) -> None:
    """One command from a stock config; its dumped config, edited, is a pre-training config like any other."""
    proposals = write(tmp_path, BOXES)
    model = detector("retinanet")
    model.backbone.update(base_channels=8)
    model.neck.update(in_channels=[8, 16, 32, 64], out_channels=16)
    model.bbox_head.update(in_channels=16, feat_channels=16, stacked_convs=1)
    stock = read_config(STOCK["retinanet"])
    stock.model = model
    stock.test_dataloader.dataset.pipeline[1].scale = (96, 64)
    stock.dump(tmp_path / "mine.py")
    work = tmp_path / "run"
    quick = [
        "train_cfg.max_epochs=1",
        "train_dataloader.num_workers=0",
        "train_dataloader.persistent_workers=False",
    ]
    arguments = ["--aligndet", str(proposals), "--images", str(tmp_path / "images"), "--work-dir", str(work)]
    main([str(tmp_path / "mine.py"), *arguments, "--cfg-options", *quick])
    first = torch.load(work / "epoch_1.pth", weights_only=False)
    assert {key.split(".")[0] for key in first["state_dict"]} >= {"online", "momentum", "online_adapter"}
    dumped = work / "mine_aligndet.py"
    assert Config.fromfile(dumped).model.detector.bbox_head.feat_channels == 16
    again = tmp_path / "again"
    main([str(dumped), "--work-dir", str(again), "--cfg-options", "optim_wrapper.optimizer.lr=0.005"])
    assert (again / "epoch_1.pth").is_file()


def test_proposals_and_images_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["mmdet::ssd/ssd300_coco.py", "--aligndet", "p.json"])
    assert "--images" in capsys.readouterr().err


def test_clusters_of_the_proposals_become_classes(tmp_path: Path) -> None:
    proposals = write(tmp_path, BOXES)
    text = proposals.read_text().replace(
        '"categories": [{', '"categories": [{"id": 2, "name": "cluster_1"}, {'
    )
    proposals.write_text(text)
    config = pretraining_config(read_config(STOCK["detr"]), str(proposals), "x")
    assert config.model.num_clusters == 2
    config.model.detector = detector("detr")
    options = {key: value for key, value in config.model.items() if key != "type"}
    assert BoxDomainPretrainer(**options).online.bbox_head.num_classes == 3  # and the channel of places
