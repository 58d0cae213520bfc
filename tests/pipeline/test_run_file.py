"""``run.json``: what is done, what must be done again, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aligndet.common.errors import InputError
from aligndet.pipeline import run_file
from aligndet.pipeline.question import Question, make_question
from aligndet.pipeline.run_file import DONE, FAILED, INTERRUPTED, RunFile
from aligndet.pipeline.stage import Stage
from aligndet.pipeline.stages.finetune import FinetuneRequest


def asked(folder: Path, **given: Any) -> Question:
    return make_question("mmdet::a.py", folder / "photos", out=folder / "out", **given)


def stage(name: str = "a", after: tuple[str, ...] = (), **given: Any) -> Stage:
    request = FinetuneRequest(config="c.py", work_dir="w", **given)
    return Stage(name, name, "m:run", request, (f"{name}.txt",), ("DETECTOR",), after)


def finish(run: RunFile, one: Stage, key: str, text: str) -> None:
    run.begin(one, key)
    (run.folder / one.outputs[0]).write_text(text)
    run.end(one, DONE, 2.0, {"value": text})


@pytest.fixture
def run(tmp_path: Path) -> RunFile:
    made = run_file.new(asked(tmp_path), [stage()], "aligndet pretrain")
    made.folder.mkdir()
    made.write()
    return made


def test_a_stage_is_done_while_key_and_outputs_are_as_they_were(run: RunFile) -> None:
    finish(run, stage(), "key", "x")
    again = run_file.read(run.folder)
    assert again is not None
    assert again.is_done(stage(), "key")
    assert again.results() == {"a": {"value": "x"}}
    assert not again.is_done(stage(), "other key")
    (run.folder / "a.txt").write_text("y")
    assert not again.is_done(stage(), "key")


def test_an_interrupted_stage_keeps_its_files_and_its_time(run: RunFile) -> None:
    run.begin(stage(), "key")
    (run.folder / "a.txt").write_text("half")
    run.end(stage(), INTERRUPTED, 3.0)
    run.begin(stage(), "key")
    assert (run.folder / "a.txt").read_text() == "half"
    run.end(stage(), FAILED, 1.0, error="no")
    assert run.stage("a") == {**run.stage("a"), "seconds": 4.0, "state": FAILED, "error": "no"}


def test_what_a_stage_left_with_other_inputs_goes(run: RunFile) -> None:
    finish(run, stage(), "key", "x")
    run.begin(stage(), "other key")
    assert not (run.folder / "a.txt").exists()
    assert run.stage("a")["seconds"] == 0


def test_later_stages_depend_on_the_bytes_of_those_they_name(run: RunFile) -> None:
    finish(run, stage(), "key", "x")
    first = stage("b", ("a",)).key({}, {"a": run.mark("a")})
    finish(run, stage(), "key", "x")
    assert stage("b", ("a",)).key({}, {"a": run.mark("a")}) == first, "the same bytes made anew"
    finish(run, stage(), "key", "y")
    assert stage("b", ("a",)).key({}, {"a": run.mark("a")}) != first
    assert stage("b").key({}, {"a": "1"}) == stage("b").key({}, {"a": "2"}), "it does not read a"


def test_a_key_is_request_and_contents_but_not_the_number_of_processes() -> None:
    keys = {stage(max_iters=2).key({"DETECTOR": "1"}, {}), stage(max_iters=3).key({"DETECTOR": "1"}, {})}
    keys.add(stage(max_iters=3).key({"DETECTOR": "2"}, {}))
    assert len(keys) == 3
    assert stage(max_iters=3, gpus=8).key({"DETECTOR": "2", "IMAGES": "9"}, {}) in keys


def test_other_options_are_refused_with_what_differs(run: RunFile, tmp_path: Path) -> None:
    run_file.refuse_other(run, asked(tmp_path, workers=9), {})
    with pytest.raises(InputError, match=r"--max-iters: not given before, 3 now.*--overwrite"):
        run_file.refuse_other(run, asked(tmp_path, max_iters=3), {})


def test_other_contents_are_refused_with_their_names(run: RunFile, tmp_path: Path) -> None:
    run.data["inputs"] = {"DETECTOR": "1", "IMAGES": "2"}
    run_file.refuse_other(run, asked(tmp_path), {"DETECTOR": "1", "IMAGES": "2"})
    with pytest.raises(InputError, match="IMAGES: its content changed"):
        run_file.refuse_other(run, asked(tmp_path), {"DETECTOR": "1", "IMAGES": "3"})


def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert run_file.read(tmp_path / "mine") is None
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"holds files that no run made .*; give another --out"):
        run_file.read(tmp_path / "mine")
    (tmp_path / "mine" / "run.json").write_text("[]")
    with pytest.raises(InputError, match=r"run.json was not written by aligndet"):
        run_file.read(tmp_path / "mine")
    with pytest.raises(InputError, match="this is a file"):
        run_file.read(tmp_path / "mine" / "thesis.tex")


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    with (
        run_file.locked(tmp_path / "out"),
        pytest.raises(InputError, match=r"another run works in this folder now \(host .*, process \d+\)"),
        run_file.locked(tmp_path / "out"),
    ):
        pass
    with run_file.locked(tmp_path / "out"):
        pass


def test_numbers_that_json_has_not(run: RunFile) -> None:
    run.begin(stage(), "key")
    run.end(stage(), DONE, 1.0, {"loss": float("nan"), "bound": float("inf")})
    text = (run.folder / "run.json").read_text()
    assert json.loads(text, parse_constant=lambda word: pytest.fail(word))["stages"]["a"]["result"] == {
        "loss": None,
        "bound": None,
    }
