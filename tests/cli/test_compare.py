"""``aligndet compare``: every word arrives in the settings; a dry run lists the runs and does nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aligndet.cli.main import parser_of
from aligndet.comparison import compare as comparison
from aligndet.comparison.settings import Settings
from tests.command import command
from tests.small import STOCK
from tests.small_coco import make_coco

compare = command("compare")


@pytest.fixture
def words(tmp_path: Path) -> list[Any]:
    train, val = make_coco(tmp_path, 8), make_coco(tmp_path, 4, seed=1)
    (tmp_path / "pre.pth").write_bytes(b"\0\1")
    starts = ["--start", "random=", "--start", f"aligndet={tmp_path}/pre.pth"]
    data = ["--train", train, "--val", val, "--images", tmp_path / "images", "--out", tmp_path / "work"]
    return [STOCK["retinanet"], *starts, *data]


def test_a_dry_run_lists_the_runs(
    words: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--percent", 10, 50, "--iters", "10:5", "50:9", "--seeds", 2, "--lr", 0.1, 0.2]
    assert compare([*words, *options, "--dry-run", "--json", tmp_path / "runs.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    runs = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert lines[:-1] == runs
    assert len([run for run in runs if run.startswith("search: ")]) == 2 * 2 * 2
    assert len([run for run in runs if run.startswith("compare: ")]) == 2 * 2 * 2
    assert runs[0] == "search: random, 10 % of the labels, lr 0.2, seed 0, 5 iterations"
    assert runs[-1] == "compare: aligndet, 50 % of the labels, the best lr, seed 1, 9 iterations"
    assert not (tmp_path / "work").exists()


def test_one_rate_is_not_searched(words: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert compare([*words, "--percent", 100, "--seeds", 1, "--lr", 0.1, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0] == "compare: random, 100 % of the labels, lr 0.1, seed 0, 1000 iterations"


def test_every_word_arrives(words: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Settings] = []

    def stop(settings: Settings, *_: Any) -> None:
        asked.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison, "compare", stop)
    (tmp_path / "val images").mkdir()
    options = {
        "--val-images": tmp_path / "val images",
        "--search-on": "val",
        "--seeds": 5,
        "--search-seeds": 2,
        "--lr": 0.3,
        "--batch": 7,
        "--schedule": "cosine",
        "--workers": 2,
        "--threads": 3,
        "--loaders": 4,
        "--save-every": 11,
        "--cfg-options": "model.bbox_head.num_classes=9",
    }
    given = [word for pair in options.items() for word in pair]
    assert compare([*words, *given, "--keep-checkpoints", "--freeze-backbone"]) == 130
    (settings,) = asked
    names = ("seeds", "search_seeds", "batch", "schedule", "workers", "threads", "loaders", "save_every")
    assert [getattr(settings, name) for name in names] == [5, 2, 7, "cosine", 2, 3, 4, 11]
    assert settings.lrs == (0.3,)
    assert settings.cfg_options == {"model.bbox_head.num_classes": 9}
    assert (settings.keep_checkpoints, settings.freeze_backbone) == (True, True)
    assert settings.report.images == tmp_path / "val images"
    assert settings.train.images == tmp_path / "images"
    assert settings.work_dir == tmp_path / "work"
    assert [start.name for start in settings.starts] == ["random", "aligndet"]


def test_the_folder_of_results_has_a_default() -> None:
    assert parser_of("compare").get_default("out") == Path("work_dirs/compare")
