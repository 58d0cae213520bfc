"""What a person reads at the end of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from aligndet.pipeline.present import next_commands, table
from aligndet.pipeline.question import make_question
from aligndet.pipeline.stages import backbone, proposals


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my photos").mkdir()
    return tmp_path


def test_the_next_commands_can_be_typed() -> None:
    finetune, compare = next_commands(make_question("det.py", "my photos", out="o"))
    assert finetune == "aligndet train o/finetune.py"
    starts = "--start random= --start aligndet=o/detector.pth"
    assert compare.startswith(f"aligndet compare det.py {starts} --train TRAIN.json --val VAL.json")
    assert "--images 'my photos'" in compare


def test_a_loaded_backbone_is_that_of_the_other_start() -> None:
    asked = make_question("det.py", "my photos", out="o", weights="timm:resnet50")
    assert "--start image-domain=o/backbone.pth" in next_commands(asked)[1]


def test_after_a_comparison_only_the_fine_tuning_is_left() -> None:
    asked = make_question("det.py", "my photos", out="o", train="t.json", val="v.json")
    assert next_commands(asked) == ["aligndet train o/finetune.py"]


def test_the_table_has_a_line_for_each_part_of_a_result() -> None:
    result = {"images": 2, "boxes": 6, "skips": 1, "recall": 0.5, "recall_images": 4}
    stages = {
        "proposals": {"state": "done", "seconds": 61.0, "result": result},
        "backbone": {"state": "pending", "seconds": 0.0},
    }
    assert table(stages, {"proposals": proposals, "backbone": backbone}) == [
        "stage      result                                   time",
        "---------  ---------------------------------------  ----",
        "proposals  3.0 proposals per image, 2 images        1:01",
        "           1 images left out",
        "           recall 50 % at IoU 0.5 on 4 test images",
        "backbone   pending                                  0:00",
        "all                                                 1:01",
    ]
