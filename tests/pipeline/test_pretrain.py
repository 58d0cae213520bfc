"""The whole job in a user's folder, with relative paths: images to a pre-trained detector and its report."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from safetensors.torch import load_file

from aligndet.common.console import Console
from aligndet.common.errors import InputError
from aligndet.pipeline import process, runner
from aligndet.pipeline.runner import run_pipeline
from aligndet.pipeline.stage import StageError
from tests.pipeline.asked import question, write_project

STAGES = ["proposals", "backbone", "box_domain", "export", "evidence"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder that is the current one; det.py names its weights relatively."""
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Page(HTMLParser):
    """What a page loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]


def said() -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(stream=stream, interval=0.0), stream


def test_from_images_to_a_checkpoint_and_a_report(project: Path, ran: list[str]) -> None:
    console, stream = said()
    result = run_pipeline(question(project), console, command="aligndet pretrain det.py photos")
    out = project / "out"
    assert ran == ["check", *STAGES]
    left = {path.name for path in out.iterdir()} - {".aligndet", "log.txt"}  # the log is a process's
    files = (
        "run.json",
        "report.html",
        "metrics.jsonl",
        "backbone.pth",
        "detector.pth",
        "detector.safetensors",
    )
    assert left == {*files, "finetune.py", "proposals", "box_domain"}
    _check_weights(out)
    _check_config(project)
    _check_run_file(out)
    _check_report((out / "report.html").read_text())
    assert result.metrics["proposals"]["images"] == 6
    assert result.checkpoint == out / "detector.pth"
    assert len(stream.getvalue().splitlines()) <= 60


def _check_weights(out: Path) -> None:
    state = torch.load(out / "detector.pth", weights_only=True)["state_dict"]
    assert not [
        key for key in state if "cls" in key.rpartition(".")[0].rpartition(".")[2] and "retina" in key
    ]
    same = load_file(out / "detector.safetensors")
    assert same.keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in same.items())
    backbone = torch.load(out.parent / "weights" / "backbone.pth")
    assert torch.equal(state["backbone.conv1.weight"], backbone["conv1.weight"]), (
        "the relative init_cfg.checkpoint"
    )


def _check_config(project: Path) -> None:
    """Plain mmengine reads it from anywhere."""
    config = Config.fromfile(project / "out" / "finetune.py")
    assert config.load_from == str(project / "out" / "detector.pth")
    assert config.model.backbone.init_cfg is None
    assert config.model.bbox_head.stacked_convs == 1
    assert "dict(depth" not in (project / "out" / "finetune.py").read_text(), "it inherits the rest"


def _check_run_file(out: Path) -> None:
    run = json.loads((out / "run.json").read_text())
    assert run["state"] == "done"
    assert [stage["state"] for stage in run["stages"].values()] == ["done"] * 5
    assert run["asked"]["--max-iters"] == 2
    assert {"DETECTOR", "IMAGES", str(out.parent / "weights" / "backbone.pth")} == set(run["inputs"])
    assert run["versions"].keys() >= {"aligndet", "python", "torch"}
    box = run["stages"]["box_domain"]["result"]
    assert box["iters"] == 2
    assert box["last"]["loss_contrast"] > 0
    shares = run["stages"]["evidence"]["result"]["retrieval"]
    assert all(0 <= shares[name] <= 1 for name in ("before", "after", "chance"))
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert {line["stage"] for line in lines} == {"box_domain"}
    assert [line["step"] for line in lines] == [1, 2]


def _check_report(text: str) -> None:
    """It loads nothing from anywhere, its pictures can be seen, and it says what is unknown."""
    loaded = Page(text).loaded
    pictures = [source for source in loaded if source.startswith("data:image/jpeg;base64,")]
    assert loaded == pictures
    assert len(pictures) == 2
    for source in pictures:
        data = np.frombuffer(base64.b64decode(source.partition(",")[2]), np.uint8)
        assert cv2.imdecode(data, cv2.IMREAD_COLOR) is not None
    assert not re.search(r"url\(|@import|<script|<link", text)
    assert "Whether it helps is still unknown" in text
    assert text.count("<svg") >= 3
    assert "aligndet compare det.py --start random= --start aligndet=out/detector.pth" in text
    assert len(text) < 3_000_000


def test_a_second_run_does_nothing_and_a_lost_file_is_made_again(project: Path, ran: list[str]) -> None:
    run_pipeline(question(project), Console(quiet=True))
    ran.clear()
    console, stream = said()
    run_pipeline(question(project), console)
    assert ran == []
    assert stream.getvalue().count("done before") == 5
    (project / "out" / "detector.pth").unlink()
    run_pipeline(question(project), Console(quiet=True))
    assert ran == ["export"]
    (project / "out" / "box_domain" / "pretrain.py").unlink()
    run_pipeline(question(project), Console(quiet=True))
    assert ran[1:] == ["box_domain", "export", "evidence"], "evidence and export read the new training"
    with pytest.raises(InputError, match=r"--max-iters: 2 before, 3 now.*--overwrite"):
        run_pipeline(replace(question(project), max_iters=3), Console(quiet=True))
    (project / "photos" / "0.png").unlink()
    with pytest.raises(InputError, match="IMAGES: its content changed"):
        run_pipeline(question(project), Console(quiet=True))
    ran.clear()
    run_pipeline(question(project), Console(quiet=True), overwrite=True)
    assert ran == ["check", *STAGES]
    assert (
        json.loads((project / "out" / "run.json").read_text())["stages"]["proposals"]["result"]["images"] == 5
    )


def test_a_stage_that_fails_is_named_and_gone_on_with(
    project: Path, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("aligndet.training.run.train", broken)
        with pytest.raises(StageError, match="OSError: disk full"):
            run_pipeline(question(project), Console(quiet=True), command="aligndet pretrain det.py photos")
    run = json.loads((project / "out" / "run.json").read_text())
    assert (run["state"], run["stages"]["box_domain"]["state"]) == ("failed", "failed")
    assert run["stages"]["export"]["state"] == "pending"
    text = (project / "out" / "report.html").read_text()
    for words in ("The run failed in stage box_domain", "disk full", "<pre>aligndet pretrain det.py photos"):
        assert words in text
    ran.clear()
    run_pipeline(question(project), Console(quiet=True))
    assert ran == ["box_domain", "export", "evidence"]


def test_an_interrupted_training_goes_on_from_its_checkpoint(
    project: Path, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between two steps: what the checkpoint holds is not trained again."""
    options = {"default_hooks.checkpoint.interval": 1, "default_hooks.checkpoint.by_epoch": False}
    asked = question(project, max_iters=4, box_options=options)
    real = process.work

    def killed(request: Path) -> dict[str, Any]:
        if request.name.startswith("box_domain"):
            content = json.loads(request.read_text())
            content["request"]["max_iters"] = 2
            request.write_text(json.dumps(content))
            real(request)
            raise KeyboardInterrupt
        return real(request)

    with monkeypatch.context() as patch:
        patch.setattr(process, "work", killed)
        with pytest.raises(KeyboardInterrupt):
            run_pipeline(asked, Console(quiet=True))
    run = json.loads((project / "out" / "run.json").read_text())
    assert (run["state"], run["stages"]["box_domain"]["state"]) == ("interrupted", "interrupted")
    assert "was interrupted" in (project / "out" / "report.html").read_text()
    result = run_pipeline(asked, Console(quiet=True))
    steps = [
        json.loads(line)["step"] for line in (project / "out" / "metrics.jsonl").read_text().splitlines()
    ]
    assert steps == [1, 2, 3, 4]
    assert result.metrics["box_domain"]["iters"] == 4


def test_a_picture_that_fails_is_a_warning(
    project: Path, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from aligndet.pipeline.stages import evidence

    def broken(*_: Any) -> None:
        raise ValueError("no colour left")

    monkeypatch.setitem(evidence.PICTURES, "views", broken)
    run_pipeline(question(project), Console(quiet=True))
    run = json.loads((project / "out" / "run.json").read_text())
    assert run["state"] == "done"
    assert run["warnings"] == ["no picture of views: ValueError: no colour left"]
    assert "no colour left" in (project / "out" / "report.html").read_text()


def test_a_dry_run_says_everything_and_does_nothing(project: Path, ran: list[str]) -> None:
    from aligndet.pipeline.present import planned

    asked = question(project)
    stages, checked, before = runner.dry_run(asked)
    text = "\n".join(planned(asked, stages, checked, before))
    assert ran == ["check"]
    assert not (project / "out").exists()
    assert "6 images" in text
    assert "12 epochs of 2 images, at most 2 iterations" in text
    assert "writes detector.pth" in text
