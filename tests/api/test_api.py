"""The Python API: the options of the commands as arguments, wrong ones named, nothing heavy loaded early."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import aligndet
from aligndet import api
from aligndet.cli import main
from aligndet.pipeline import runner
from aligndet.pipeline.question import Question
from tests.pipeline.asked import write_images


def test_it_is_loaded_on_demand() -> None:
    code = "import sys, aligndet; aligndet.pretrain; print('torch' in sys.modules, 'mmengine' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]


def test_arguments_are_the_command_s_options() -> None:
    options = {action.dest for action in main.parser_of("pretrain")._actions}
    only_here = {"compare"}
    only_there = {"help", "dry_run", "json", "verbose", "cfg_options"}
    assert set(inspect.signature(api.pretrain).parameters) - only_here == options - only_there
    of_the_process = {"overwrite", "quiet", "max_bad", "allow_outside"}
    assert set(inspect.signature(api.pretrain).parameters) - of_the_process <= {
        item.name for item in fields(Question)
    }


def test_pretrain_asks_the_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(runner, "run_pipeline", lambda *words: seen.append(words))
    monkeypatch.chdir(tmp_path)
    aligndet.pretrain("det.py", Path("photos"), max_iters=2, box_options={"a": 1}, overwrite=True)
    question, console, overwrite = seen[0]
    assert question.images == str(tmp_path / "photos")
    assert (question.max_iters, question.box_options, overwrite) == (2, {"a": 1}, True)
    assert console.quiet


def test_proposals(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", 2)
    given: dict[str, Any] = {"backend": "random", "workers": 0, "max_per_image": 5}
    report = aligndet.make_proposals(tmp_path / "photos", tmp_path / "store", **given)
    assert report.images == 2
    assert report.searched == 2
    assert aligndet.make_proposals(tmp_path / "photos", tmp_path / "store", **given).searched == 0
    with pytest.raises(aligndet.InputError, match="made with other options"):
        aligndet.make_proposals(tmp_path / "photos", tmp_path / "store", backend="grid")
    with pytest.raises(aligndet.InputError, match=r"no option 'max_images' \(did you mean"):
        aligndet.make_proposals(tmp_path / "photos", tmp_path / "store", max_images=5)


def test_wrong_input_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(aligndet.InputError, match=r"gone\.pth"):
        aligndet.export(tmp_path / "gone.pth", tmp_path / "out.pth")
    with pytest.raises(aligndet.InputError, match="no such file"):
        aligndet.check("gone.py")
    files: dict[str, Any] = {"train": "t.json", "val": "v.json", "images": tmp_path}
    with pytest.raises(aligndet.InputError, match=r"no option 'seed' \(did you mean 'seeds'\?\)"):
        aligndet.compare("gone.py", {"random": None}, seed=3, **files)
