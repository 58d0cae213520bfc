"""A comparison with real, tiny fine-tunes: random start against a pre-training checkpoint."""

import io
import json
from pathlib import Path

import torch
from mmdet.utils import register_all_modules
from mmengine.config import Config

from aligndet.box_domain.pretrainer import BoxDomainPretrainer
from aligndet.common.console import Console
from aligndet.comparison.compare import compare
from aligndet.comparison.question import make_settings
from aligndet.comparison.report import write_report
from aligndet.comparison.run_one import build_runner
from aligndet.comparison.settings import Settings
from tests.small import STOCK, detector
from tests.small_coco import make_coco


def write_config(path: Path) -> None:
    """RetinaNet on ResNet-18 at 64 px."""
    config = Config({"model": detector("retinanet")})
    path.write_text(
        f"_base_ = {STOCK['retinanet']!r}\n"
        f"{config.pretty_text}\n"
        "model['_delete_'] = True\n"
        "train_pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),"
        " dict(type='PackDetInputs')]\n"
        "train_dataloader = dict(dataset=dict(pipeline=train_pipeline))\n"
    )


def write_pretrained(path: Path) -> None:
    register_all_modules(init_default_scope=True)
    config = detector("retinanet")
    text = Config({"model": {"type": "aligndet.BoxDomainPretrainer", "detector": config}}).pretty_text
    state = BoxDomainPretrainer(detector=config).state_dict()
    torch.save({"meta": {"cfg": text}, "state_dict": state}, path)


def settings(folder: Path) -> Settings:
    """One rate, one seed, two iterations, two starts."""
    train, val = make_coco(folder, 8), make_coco(folder, 2, seed=1)
    write_config(folder / "config.py")
    write_pretrained(folder / "pre.pth")
    return make_settings(
        folder / "config.py",
        {"random": None, "aligndet": folder / "pre.pth"},
        train,
        val,
        folder / "images",
        out=folder / "work",
        percent=[50],
        seeds=1,
        lr=0.001,
        freeze_backbone=True,
        iters=2,
        batch=2,
        workers=2,
        keep_checkpoints=True,
    )


def test_compare(tmp_path: Path) -> None:
    asked = settings(tmp_path)
    told = io.StringIO()
    text = write_report(compare(asked, Console(stream=told)), asked.work_dir)
    assert "no evidence (too few seeds)" in text
    assert "start aligndet: " in told.getvalue()
    assert "tensors loaded; random: 2 in bbox_head" in told.getvalue()
    work = tmp_path / "work"
    found = json.loads((work / "results.json").read_text())
    assert [arm["start"] for arm in found["arms"]] == ["random", "aligndet"]
    assert (work / "results.md").is_file()
    assert (work / "plot.png").is_file()
    results = sorted(work.glob("runs/*/result.json"))
    assert len(results) == 2
    before = [path.stat().st_mtime_ns for path in results]

    compare(asked, Console(stream=told))
    assert "2 of 2 runs are already finished" in told.getvalue()
    assert [path.stat().st_mtime_ns for path in results] == before

    started = next(path.parent for path in results if path.parent.name.startswith("aligndet"))
    assert "Load checkpoint from" in (started / "log.txt").read_text()
    runner, _ = build_runner(started)
    runner.load_or_resume()
    weights = runner.model.state_dict()
    initial = torch.load(tmp_path / "pre.pth", weights_only=True)["state_dict"]
    assert torch.equal(weights["backbone.conv1.weight"], initial["online.backbone.conv1.weight"])
    assert not torch.equal(
        weights["neck.fpn_convs.0.conv.weight"], initial["online.neck.fpn_convs.0.conv.weight"]
    )
    assert runner.iter == 2, "a killed run goes on from its last checkpoint"
