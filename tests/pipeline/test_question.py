"""What is asked, as plain data with absolute paths."""

from pathlib import Path

import pytest

from aligndet.common.errors import InputError
from aligndet.pipeline.codec import as_plain, from_plain
from aligndet.pipeline.question import Question, differences, make_question


def test_paths_are_absolute_and_names_of_configs_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    (tmp_path / "w.pth").touch()
    asked = make_question("mmdet::x/y.py", "~/photos", weights="w.pth", box_config="box.py", lr=[0.1])
    assert asked.detector == "mmdet::x/y.py"
    assert asked.images == "/home/me/photos"
    assert asked.weights == str(tmp_path / "w.pth")
    assert asked.box_config == str(tmp_path / "box.py")
    assert asked.out == str(tmp_path / "runs" / "y_photos")
    assert make_question("a.py", "b", weights="timm:resnet50").weights == "timm:resnet50"


def test_labels_ask_for_fine_tuning_and_a_comparison() -> None:
    asked = make_question("a.py", "b", train="t.json", val="v.json")
    assert (asked.finetune, asked.compare) == (True, True)
    assert (make_question("a.py", "b").finetune, make_question("a.py", "b").compare) == (False, False)
    assert not make_question("a.py", "b", train="t.json", val="v.json", compare=False).compare


def test_an_option_that_there_is_not() -> None:
    with pytest.raises(InputError, match=r"no option 'max_iter' \(did you mean 'max_iters'\?\)"):
        make_question("a.py", "b", max_iter=3)


def test_a_question_survives_json() -> None:
    asked = make_question("a.py", "b", percent=[1, 10], box_options={"a.b": [1, 2]}, max_iters=3)
    assert from_plain(Question, as_plain(asked)) == asked


def test_what_differs_is_named_as_it_is_typed() -> None:
    before = as_plain(make_question("a.py", "b", max_iters=2).decisive())
    now = as_plain(make_question("a.py", "b", max_iters=3, amp=True, workers=7).decisive())
    assert differences(before, now) == ["--max-iters: 2 before, 3 now", "--amp: no before, yes now"]
