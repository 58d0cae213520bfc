"""A stage's training in several processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from aligndet.pipeline.stages.finetune import FinetuneRequest
from aligndet.pipeline.training import ends, length, train_config
from aligndet.training.config import load_config
from tests.pipeline.asked import write_project
from tests.small_coco import make_coco


def test_two_processes_give_one_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aligndet.pipeline.finetune_config import finetune_config

    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    labels = str(make_coco(tmp_path / "labelled", 8))
    folder = str(tmp_path / "labelled" / "images")
    both = ((labels, labels), (folder, folder))
    config = finetune_config(str(tmp_path / "det.py"), tmp_path / "gone.pth", both, {"load_from": None})
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    request = FinetuneRequest(config="unread", work_dir=str(tmp_path / "work"), max_iters=2, gpus=2)
    result = train_config(config, "config", request)
    assert result["iters"] == 2
    assert result["first"]["loss"] > 0
    assert Path(result["checkpoint"]).is_file()
    assert load_config(str(tmp_path / "work" / "config.py")).randomness.seed == 0


def test_words() -> None:
    result = {"first": {"loss": 2.0}, "last": {"loss": 1.5}}
    assert ends(result, "loss") == "loss 2.00 -> 1.50"
    assert ends(result, "loss_bbox") == "loss_bbox not logged"
    config = {"train_cfg": {"max_epochs": 12}, "train_dataloader": {"batch_size": 4}}
    assert length(config, 7) == "12 epochs of 4 images, at most 7 iterations"
