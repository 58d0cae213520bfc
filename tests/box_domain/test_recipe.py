"""A stock config and proposals are enough: the generated pre-training config, by family, and run."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.recipe import RECIPES as RECIPES_FOLDER
from aligndet.box_domain.recipe import pretraining_config
from aligndet.cli.main import main
from aligndet.common.configs import read_config
from aligndet.training.run import wrap_config
from tests.box_domain.data.test_dataset import write
from tests.small import STOCK, detector

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
        scales = steps["mmdet.MultiBranch"][view][0]["scales"]
        assert (tuple(scales[0]), tuple(scales[-1])) == (smallest, largest)


SGD = {"type": "SGD", "momentum": 0.9, "weight_decay": 1e-4}
#: stock config -> optimiser, rate drops, warm-up steps, clip; shipped config of the same family, its clip
RECIPES = {
    STOCK["retinanet"]: ({**SGD, "lr": 0.01}, [8, 11], 500, 35, "retinanet_r50_fpn_1x_coco", None),
    STOCK["mask_rcnn"]: ({**SGD, "lr": 0.02}, [8, 11], 500, 35, "mask-rcnn_r50_fpn_1x_coco", None),
    STOCK["detr"]: (
        {"type": "AdamW", "lr": 5e-5, "weight_decay": 1e-4},
        [40],
        None,
        0.1,
        "detr_r50_50e_coco",
        0.1,
    ),
    "mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py": (
        {"type": "AdamW", "lr": 1e-4, "weight_decay": 0.05},
        [8, 11],
        1000,
        35,
        None,
        None,
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_the_paper_s_numbers(name: str, tmp_path: Path) -> None:
    optimizer, milestones, warm_up, clip, shipped, shipped_clip = RECIPES[name]
    generated = pretraining_config(read_config(name), str(write(tmp_path, BOXES)), "photos")
    check_numbers(generated, optimizer, milestones, warm_up, clip)
    assert generated.find_unused_parameters is True
    if shipped:
        config = read_config(str(RECIPES_FOLDER.parent / "box_domain" / f"{shipped}.py"))
        check_numbers(config, optimizer, milestones, warm_up, shipped_clip)
        assert config.train_cfg == generated.train_cfg
        steps = [c.train_dataloader.dataset.pipeline[2] for c in (config, generated)]
        assert steps[0] == steps[1] == {"type": "aligndet.SampleProposals", "num": FAMILIES[name][3]}


def check_numbers(
    config: Config, optimizer: dict, milestones: list[int], warm_up: int | None, clip: float | None
) -> None:
    numbers = {key: config.optim_wrapper.optimizer.get(key) for key in optimizer}
    assert numbers == optimizer, "betas and the like are the user's"
    assert config.optim_wrapper.get("clip_grad") == (clip and {"max_norm": clip, "norm_type": 2})
    *ramp, steps = config.param_scheduler
    assert (steps.type, steps.milestones, steps.gamma) == ("MultiStepLR", milestones, 0.1)
    assert (steps.begin, steps.end, steps.by_epoch) == (0, config.train_cfg.max_epochs, True)
    assert [(r.type, r.start_factor, r.by_epoch, r.begin, r.end) for r in ramp] == (
        [("LinearLR", 0.001, False, 0, warm_up)] if warm_up else []
    )
    assert config.custom_hooks == [{"type": "aligndet.MomentumHook", "base": 0.996}]
    assert config.auto_scale_lr == {"enable": False, "base_batch_size": 16}
    checkpoint = config.default_hooks.checkpoint
    assert (checkpoint.type, checkpoint.interval, checkpoint.max_keep_ckpts) == ("CheckpointHook", 1, 2)


def test_a_detector_of_one_size_gets_views_of_that_size(tmp_path: Path) -> None:
    config = pretraining_config(read_config("mmdet::ssd/ssd300_coco.py"), str(write(tmp_path, BOXES)), "x")
    resize = config.train_dataloader.dataset.pipeline[-1]["online"][0]
    assert resize == {"type": "mmdet.Resize", "scale": (300, 300), "keep_ratio": False}


def test_a_config_without_a_box_detector_is_refused(tmp_path: Path) -> None:
    proposals = str(write(tmp_path, BOXES))
    with pytest.raises(ValueError, match="masks and no boxes"):
        wrap_config("mmdet::solo/solo_r50_fpn_1x_coco.py", proposals, "x", tmp_path / "solo.py")
    with pytest.raises(ValueError, match="no model in this config"):
        pretraining_config(Config({"a": 1}), proposals, "x")


def test_the_train_command_wraps_runs_and_leaves_a_config_to_edit(tmp_path: Path) -> None:
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
    assert main(["train", str(tmp_path / "mine.py"), *arguments, "--cfg-options", *quick]) == 0
    first = torch.load(work / "epoch_1.pth", weights_only=False)
    assert {key.split(".")[0] for key in first["state_dict"]} >= {"online", "momentum", "online_adapter"}
    dumped = work / "mine_aligndet.py"
    assert Config.fromfile(dumped).model.detector.bbox_head.feat_channels == 16
    again = tmp_path / "again"
    options = ["--work-dir", str(again), "--cfg-options", "optim_wrapper.optimizer.lr=0.005"]
    assert main(["train", str(dumped), *options]) == 0
    assert (again / "epoch_1.pth").is_file()


def test_proposals_and_images_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "mmdet::ssd/ssd300_coco.py", "--aligndet", str(Path(__file__))]) == 2
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


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_a_generated_config_starts_anew_with_the_workers_of_the_stock_one(
    workers: int, tmp_path: Path
) -> None:
    stock = read_config(STOCK["retinanet"])
    stock.train_dataloader.num_workers = workers
    stock.test_dataloader.dataset.pipeline.insert(0, {"type": "CenterCrop", "scale": (9, 9)})
    config = pretraining_config(stock, str(write(tmp_path, BOXES)), "x")
    assert (config.resume, config.load_from) == (False, None)
    assert "num_clusters" not in config.model
    assert config.train_dataloader.num_workers == workers
    assert config.train_dataloader.persistent_workers == (workers > 0), "torch refuses them without workers"
    resize = config.train_dataloader.dataset.pipeline[-1]["online"][0]
    assert (resize["keep_ratio"], tuple(resize["scales"][-1])) == (True, (1333, 800)), (
        "a crop says nothing of the size"
    )
    assert "visualization" not in config.default_hooks, "a pre-trainer draws no predictions"


def test_a_stock_config_without_a_size_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("aligndet.box_domain.recipe.loader.warn", told.append)
    stock = read_config(STOCK["retinanet"])
    stock.test_dataloader.dataset.pipeline = stock.test_dataloader.dataset.pipeline[:1]
    pretraining_config(stock, str(write(tmp_path, BOXES)), "x")
    assert "1333 x 800 px" in told[0]
