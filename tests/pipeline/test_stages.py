"""The road: its commands, the configs it writes, and one walk from images to a fine-tuned detector."""

import contextlib
import importlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from aligndet.image_domain.normalisation import IMAGENET
from aligndet.road import written
from aligndet.road.plan import Road, check
from aligndet.road.stage import Stage, StageError, Walker
from aligndet.road.stages import stages
from tests.image_domain.test_methods import write_images
from tests.small_coco import make_coco
from tools.run_road import ROOT, main, parse_args, road_of

RETINANET = "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py"
SIMSIAM = "configs/image_domain/simsiam_r18_folder.py"
WORDS = {"proposals": ("--backend", "grid"), "box": ("a=1",), "image": ("b=2",), "finetune": ("c=3",)}


def road(folder: Path, **options: Any) -> Road:
    (folder / "images").mkdir(exist_ok=True)
    found = {"detector": RETINANET, "options": WORDS, **options}
    return Road(root=ROOT, work=folder / "work", images=folder / "images", **found)


def names(found: Sequence[Stage]) -> list[str]:
    return [stage.name[2:] for stage in found]


def commands(found: Sequence[Stage], tool: str) -> list[list[str]]:
    """The words after the tool's name, for each command of a tool."""
    every = [command for stage in found for command in stage.commands]
    return [list(command[2:]) for command in every if command[1] == f"tools/{tool}.py"]


def test_stages_that_are_asked_for(tmp_path: Path) -> None:
    assert names(stages(road(tmp_path))) == ["proposals", "box_domain", "export"]
    trained = road(tmp_path, image_config=SIMSIAM, finetune=True)
    assert names(stages(trained)) == ["proposals", "image_domain", "box_domain", "export", "finetune"]
    given = road(tmp_path, proposals=make_coco(tmp_path, 1), backbone="timm:resnet50")
    assert names(stages(given)) == ["image_domain", "box_domain", "export"]
    assert stages(given)[1].after == ("1_image_domain",)


def test_the_tools_accept_their_commands(tmp_path: Path) -> None:
    found = stages(road(tmp_path, image_config=SIMSIAM, finetune=True, amp=True))
    train = importlib.import_module("tools.train")
    image, box, tune = (train.parse_args(words) for words in commands(found, "train"))
    assert all(args.amp and args.resume == "auto" for args in (image, box, tune))
    assert image.cfg_options == {"train_dataloader.dataset.data_root": str(tmp_path / "images"), "b": 2}
    assert (box.aligndet, box.images) == (str(tmp_path / "work/0_proposals/proposals"), f"{tmp_path}/images")
    assert (box.config, box.cfg_options) == (str(tmp_path / "work/1_image_domain/detector.py"), {"a": 1})
    assert tune.cfg_options == {"c": 3}
    search = importlib.import_module("tools.make_proposals")._parser()
    assert search.parse_args(commands(found, "make_proposals")[0]).backend == "grid"
    convert = importlib.import_module("tools.convert_backbone").parse_args
    assert convert(commands(found, "convert_backbone")[0]).config == RETINANET


def test_several_gpus_and_insloc(tmp_path: Path) -> None:
    insloc = "configs/image_domain/insloc_r50_fpn_200e_imagenet.py"
    found = stages(road(tmp_path, image_config=insloc, gpus=8))
    train, export = found[1].commands
    assert train[:4] == ("bash", "tools/dist_train.sh", insloc, "8")
    assert export[1] == "tools/export_insloc.py", "FPN and head go on, not the backbone alone"
    assert "init_cfg" in load_text(tmp_path, next(iter(found[1].files.values()))).model


def load_text(folder: Path, text: str) -> Config:
    (folder / "written.py").write_text(text)
    return Config.fromfile(folder / "written.py")


def test_the_weights_of_the_image_domain_replace_the_detector_s_own(tmp_path: Path) -> None:
    text = written.started_detector(road(tmp_path), tmp_path / "it's.pth", whole=False)
    model = load_text(tmp_path, text).model
    assert model.backbone.init_cfg.to_dict() == {"type": "Pretrained", "checkpoint": f"{tmp_path}/it's.pth"}
    assert model.backbone.depth == 50


def test_labels_reach_data_evaluators_and_classes(tmp_path: Path) -> None:
    train, val = make_coco(tmp_path / "labelled", 2), make_coco(tmp_path / "labelled", 1, seed=1)
    folder = tmp_path / "labelled" / "images"
    asked = road(tmp_path, train=train, val=val, labelled=folder)
    config = load_text(tmp_path, written.labelled_finetune(asked, Path("d.pth")))
    assert config.model.bbox_head.num_classes == 2
    assert config.load_from == "d.pth"
    assert config.train_dataloader.dataset.ann_file == str(train)
    for part in ("val", "test"):
        assert config[f"{part}_dataloader"].dataset.data_prefix.img == str(folder)
        assert config[f"{part}_evaluator"].ann_file == str(val)
    assert config.val_dataloader.dataset.metainfo.classes == ("red", "green")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": "nowhere"}, "IMAGES .*nowhere: there is no such folder"),
        ({"train": "t.json"}, "--train and --val go together"),
        ({"train": "t.json", "val": "t.json"}, "--train .*t.json: there is no such file"),
        ({"backbone": "timm:x", "image_config": "y"}, "give one of the two"),
        ({"detector": "typo.py"}, "DETECTOR .*typo.py: give a config file, or 'mmdet::"),
        ({"box_config": "typo.py"}, "--box-config typo.py"),
        (
            {"detector": "configs/finetune/insloc_mask-rcnn_r50_fpn_1x_coco.py"},
            "gives its backbone no weights",
        ),
    ],
)
def test_wrong_questions(options: dict[str, str], message: str, tmp_path: Path) -> None:
    changes: dict[str, Any] = dict(options)
    changes.update((key, tmp_path / options[key]) for key in ("images", "train", "val") if key in options)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        check(replace(road(tmp_path), **changes))


def test_the_tool_s_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "det.py").touch()
    monkeypatch.chdir(tmp_path)
    words = ["det.py", "cats", "--backbone", "timm:resnet50", "--box-options", "x=1 y='a b'"]
    found = road_of(parse_args(words))
    assert found.detector == str(tmp_path / "det.py")
    assert (found.images, found.work) == (tmp_path / "cats", ROOT / "work_dirs" / "road_det_cats")
    assert found.backbone == "timm:resnet50"
    assert found.options["box"] == ("x=1", "y=a b")
    assert main(["det.py", "cats"]) == 1, "no such folder"


DETECTOR = """
_base_ = '{root}/configs/demo/retinanet_r18.py'
model = dict(
    backbone=dict(stem_channels=8, base_channels=8),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    bbox_head=dict(in_channels=16, feat_channels=16, stacked_convs=1),
)
small = _base_.test_pipeline
small[1].scale = _base_.train_pipeline[2].scale = (64, 64)
train_cfg = dict(max_epochs=1)
one_process = dict(batch_size=2, num_workers=0, persistent_workers=False)
train_dataloader = dict(**one_process, dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = test_dataloader = dict(**one_process, dataset=dict(pipeline=small))
default_hooks = dict(logger=dict(interval=1))
"""
LOADER = ("train_dataloader.num_workers=0", "train_dataloader.persistent_workers=False")
STEPS = ("train_cfg.max_epochs=1", "default_hooks.logger.interval=1", *LOADER)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Commands run in this process, unformatted configs: both spare time. The tools that ran."""
    monkeypatch.setattr("yapf.yapflib.yapf_api.FormatCode", lambda text, **_: (text, True))
    tools: list[str] = []

    def run(command: Sequence[str], log: Path, *_: object) -> int:
        name = Path(command[1]).stem
        tools.append(name)
        with log.open("a") as stream, contextlib.redirect_stdout(stream):
            return importlib.import_module(f"tools.{name}").main(list(command[2:])) or 0

    monkeypatch.setattr("aligndet.road.stage.run_logged", run)
    return tools


def test_from_a_folder_to_a_fine_tuned_detector(tmp_path: Path, ran: list[str]) -> None:
    """Every stage once; then nothing; then only what a changed option reaches, or a lost file."""
    write_images(tmp_path / "images", 8)
    (tmp_path / "det.py").write_text(DETECTOR.format(root=ROOT))
    labels = [make_coco(tmp_path / "labelled", 4, seed) for seed in range(2)]
    narrow = "model.backbone.base_channels=8 model.backbone.stem_channels=8 model.neck.in_channels=64"
    crop = "train_dataloader.dataset.pipeline.1.transforms.0.0.scale=64"
    image = (*narrow.split(), crop, "train_dataloader.batch_size=4", *STEPS)
    options = {"proposals": ("--backend", "random", "--workers", "0"), "image": image, "box": STEPS}
    asked = road(
        tmp_path,
        detector=str(tmp_path / "det.py"),
        image_config=SIMSIAM,
        train=labels[0],
        val=labels[1],
        labelled=tmp_path / "labelled" / "images",
        options=options,
    )
    check(asked)
    assert done(asked) == []
    assert ran == ["make_proposals", "train", "convert_backbone", "train", "export_detector", "train"]
    exported = torch.load(tmp_path / "work" / "3_export" / "detector.pth")
    assert exported["meta"]["normalisation"] == IMAGENET.as_dict()
    begun = torch.load(tmp_path / "work" / "1_image_domain" / "weights.pth")["state_dict"]
    key = "layer4.1.conv2.weight"
    assert torch.equal(exported["state_dict"][f"backbone.{key}"], begun[key]), "frozen in the box domain"

    ran.clear()
    assert len(done(asked)) == 5
    assert not ran
    other = replace(asked, options={**options, "finetune": ("optim_wrapper.optimizer.lr=0.002",)})
    assert done(other) == ["0_proposals", "1_image_domain", "2_box_domain", "3_export"]
    (tmp_path / "work" / "3_export" / "detector.pth").unlink()
    assert len(done(other)) == 4, "the export gives the same bytes: fine-tuning stands"
    assert ran == ["train", "export_detector"]


def done(asked: Road) -> list[str]:
    """Walk; the names of the stages that were found done."""
    walker = Walker(asked.work, asked.root, say=lambda _: None, keep=True)
    return [found.stage.name for found in map(walker.carry_out, stages(asked)) if found.reused]


def test_a_failure_names_the_stage(tmp_path: Path, ran: list[str]) -> None:
    asked = road(tmp_path)
    with pytest.raises((StageError, SystemExit)):
        done(asked)
    assert ran == ["make_proposals"]
