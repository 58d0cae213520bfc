"""``aligndet pretrain`` and ``aligndet demo``: words to a question, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aligndet.cli import demo, main, pretrain
from aligndet.common.errors import InputError
from aligndet.pipeline import runner
from aligndet.pipeline.question import Question
from tests.pipeline.asked import write_images


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "det.py").write_text("model = dict()")
    write_images(tmp_path / "photos", 2)
    return tmp_path


def asked(words: list[str]) -> Question:
    return pretrain.question_of(main.parser_of("pretrain").parse_args(["det.py", "photos", *words]))


def test_words_become_a_question(folder: Path) -> None:
    question = asked(["--box-options", "a.b=1", "c=[1,2]", "--lr", "0.1", "--max-iters", "2", "--amp"])
    assert question.detector == str(folder / "det.py")
    assert question.out == str(folder / "runs" / "det_photos")
    assert question.box_options == {"a.b": 1, "c": [1, 2]}
    assert (question.lr, question.max_iters, question.amp, question.seed) == ((0.1,), 2, True, 0)
    assert (question.finetune, question.compare, question.percent) == (False, False, (10.0, 100.0))
    assert asked(["--cfg-options", "a=1"]).box_options == {"a": 1}
    assert asked(["--backend-options", "mode=single"]).backend_options == {"mode": "single"}
    assert asked(["--finetune"]).finetune


def test_a_wrong_question_is_one_line_and_exit_2(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where a stage's process found it."""

    def refuse(*_: object) -> None:
        raise InputError("model.neck: no such thing;\ngive another")

    monkeypatch.setattr(runner, "check_in_process", refuse)
    assert main.main(["pretrain", "det.py", "photos"]) == 2
    assert capsys.readouterr().err == "aligndet pretrain: model.neck: no such thing; give another\n"
    assert main.main(["pretrain", "det.py", "photos", "--train", "nowhere.json"]) == 2
    assert "nowhere.json: no such file" in capsys.readouterr().err
    assert not (folder / "runs").exists()


def test_the_plan_is_printed_and_written_as_data(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from aligndet.pipeline.checks import CheckResult

    monkeypatch.setattr(runner, "check_in_process", lambda question: CheckResult({"box_domain": "12 epochs"}))
    assert main.main(["pretrain", "det.py", "photos", "--dry-run", "--json", "plan.json"]) == 0
    text = capsys.readouterr().out
    assert "12 epochs" in text
    assert "nothing was done" in text
    assert json.loads((folder / "plan.json").read_text())["lengths"] == {"box_domain": "12 epochs"}
    assert not (folder / "runs").exists()


def test_the_demo_wants_images_with_its_labels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "t.json").write_text("{}")
    assert main.main(["demo", "--train", "t.json", "--val", "t.json"]) == 2
    assert "--train and --val are labels over --images" in capsys.readouterr().err
    assert demo.SUMMARY
