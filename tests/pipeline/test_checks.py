"""Wrong questions are found before any work, named, and leave nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from aligndet.common.console import Console
from aligndet.common.errors import InputError
from aligndet.pipeline.question import Question, make_question
from aligndet.pipeline.runner import dry_run, run_pipeline
from tests.pipeline.asked import question, write_project
from tests.small_coco import make_coco

Change = Callable[[Path], dict[str, Any]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def changed(project: Path, **given: Any) -> Question:
    return replace(question(project), **given)


EARLY = [
    ({"images": "/nowhere"}, r"/nowhere: no such folder"),
    ({"detector": "typo.py"}, r"typo\.py: no such file"),
    ({"box_config": "mmdet::retinanet/typo.py"}, r"mmdet has no such config"),
    ({"train": "t.json"}, "--train and --val go together"),
    ({"train": "t.json", "val": "v.json"}, r"--train t\.json: there is no such file"),
    ({"weights": "timm:x", "image_config": "y.py"}, "give one of the two"),
    ({"iters": 3, "epochs": 4}, "--iters and --epochs: give one of the two"),
    ({"max_iters": 0}, "--max-iters 0: at least 1"),
    ({"percent": (0.0,)}, "--percent .*: expected numbers above 0"),
    ({"proposals": "/nowhere"}, "--proposals /nowhere: there is no such file or folder"),
    ({"image_options": {"a": 1}}, "--image-options: there is no --image-config"),
]


@pytest.mark.parametrize(("given", "message"), EARLY)
def test_what_is_wrong_at_a_glance(
    project: Path, ran: list[str], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run_pipeline(changed(project, **given), Console(quiet=True))
    assert ran == []
    assert not (project / "out").exists()


def without_weights(project: Path) -> dict[str, Any]:
    (project / "det.py").write_text(
        (project / "det.py").read_text() + "model['backbone']['init_cfg'] = None\n"
    )
    return {}


def lost_weights(project: Path) -> dict[str, Any]:
    (project / "weights" / "backbone.pth").unlink()
    return {}


def other_weights(project: Path) -> dict[str, Any]:
    torch.save({"conv9.weight": torch.zeros(3)}, project / "other.pth")
    return {"weights": str(project / "other.pth")}


def other_labels(project: Path) -> dict[str, Any]:
    """A detector of two classes that are not those of the other file."""
    labels = [make_coco(project / "labelled", 2, seed) for seed in range(2)]
    content = json.loads(labels[1].read_text())
    content["categories"][0]["name"] = "blue"
    labels[1].write_text(json.dumps(content))
    folder = str(project / "labelled" / "images")
    folders = {"train_images": folder, "val_images": folder}
    return {"train": str(labels[0]), "val": str(labels[1]), "compare": True, **folders}


def labels_without_images(project: Path) -> dict[str, Any]:
    labels = [make_coco(project / "labelled", 2, seed) for seed in range(2)]
    images = str(project / "labelled" / "images")
    (project / "labelled" / "images" / "1001.png").unlink()
    given = {"train": str(labels[0]), "val": str(labels[1]), "train_images": images, "val_images": images}
    return {**given, "compare": True, "percent": (100.0,), "lr": (0.1,)}


def no_detector(project: Path) -> dict[str, Any]:
    (project / "det.py").write_text((project / "det.py").read_text() + "model['type'] = 'NotThere'\n")
    return {"weights": str(project / "weights" / "backbone.pth")}


def other_method(_: Path) -> dict[str, Any]:
    """It trains a wider backbone."""
    options = {"train_dataloader.batch_size": 2}
    return {"image_config": "aligndet::image_domain/simsiam_r18_folder.py", "image_options": options}


def few_images(_: Path) -> dict[str, Any]:
    """For a method whose loader leaves short batches out."""
    options = {"train_dataloader.drop_last": True}
    return {"image_config": "aligndet::image_domain/simsiam_r18_folder.py", "image_options": options}


LATE: list[tuple[Change, str]] = [
    (without_weights, "gives its backbone no weights, .* --weights, or train one with --image-config"),
    (lost_weights, r"model\.backbone\.init_cfg\.checkpoint=weights/backbone\.pth: there is no such file"),
    (other_weights, r"other\.pth: no tensor fits the backbone"),
    (other_labels, r"1\.json: its categories are \['blue', 'green'\]"),
    (labels_without_images, r"1001\.png"),
    (no_detector, "NotThere"),
    (lambda _: {"box_options": {"train_dataloader.batch_sise": 4}}, "batch_sise"),
    (lambda _: {"finetune": True}, r"ann_file data/coco/.* is not there; give --train and --val"),
    (lambda _: {"backend": "fastt"}, "unknown proposal backend 'fastt'"),
    (lambda _: {"backend_options": {"side": "3"}}, "side"),
    (other_method, "fills only|no tensor fits"),
    (lambda _: {"box_config": "aligndet::demo/retinanet_r18.py"}, "BoxDomainPretrainer"),
    (few_images, r"6 images are fewer than one batch of 64; lower train_dataloader\.batch_size"),
    (lambda _: {"weights": "timm:resnet5O"}, r"timm has no model 'resnet5O' \(did you mean"),
]


@pytest.mark.parametrize(("change", "message"), LATE)
def test_every_stage_s_config_is_built_before_any_work(
    project: Path, ran: list[str], change: Change, message: str
) -> None:
    given = change(project)
    with pytest.raises(InputError, match=message):
        run_pipeline(changed(project, **given), Console(quiet=True))
    assert ran in (["check"], [])
    assert not (project / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="refuses what is not there")
def test_mixed_precision_without_a_gpu(project: Path, ran: list[str]) -> None:
    with pytest.raises(InputError, match="--amp: mixed precision needs a GPU"):
        run_pipeline(changed(project, amp=True), Console(quiet=True))
    assert not (project / "out").exists()


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(InputError, match=r"photos: no image found"):
        dry_run(make_question("mmdet::retinanet/retinanet_r50_fpn_1x_coco.py", tmp_path / "photos"))
