"""``aligndet check CONFIG...``: a line for each config, and an exit status that says whether all are good."""

import json
from pathlib import Path

import pytest
from mmengine.config import Config

from aligndet.checking.row import FAILED, OK, REFUSED, UNREADABLE
from aligndet.common.config_text import config_text
from tests.command import command
from tests.small import detector, tiny

checked = command("check")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.py"
    path.write_text(config_text(Config(dict(default_scope="mmdet", model=tiny()))))
    return path


def test_each_config_has_a_line_and_one_bad_config_ends_no_run(
    tmp_path: Path, good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path that is not there, a package that is missing, a program that ends itself, and two good ones.

    One of these needs operators (RoIAlign, NMS), which its process must find as training does.
    """
    gone, needy, ends = (tmp_path / name for name in ("gone.py", "needy.py", "ends.py"))
    needy.write_text("custom_imports = dict(imports=['no_such_package_at_all'])\nmodel = dict(type='X')\n")
    ends.write_text("import os\nos._exit(7)\n")
    refused = "mmdet::solo/solo_r50_fpn_1x_coco.py"
    result = tmp_path / "result.json"
    operators = tmp_path / "operators.py"
    operators.write_text(config_text(Config(dict(default_scope="mmdet", model=detector("faster_rcnn")))))
    assert checked([gone, needy, ends, refused, good, operators, "--json", result]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith(f"{gone}: failed: no such file")
    assert lines[1].startswith(f"{needy}: failed: ")
    assert "no_such_package_at_all" in lines[1]
    assert lines[2] == f"{ends}: failed: the process ended with exit code 7"
    assert lines[3].startswith(f"{refused}: refused: ")
    assert lines[4].startswith(f"{good}: ok: ")
    assert lines[5].startswith(f"{operators}: ok: ")
    assert not any("mmdet cannot" in line for line in lines)
    rows = json.loads(result.read_text())["configs"]
    assert [row["status"] for row in rows] == [UNREADABLE, UNREADABLE, FAILED, REFUSED, OK, OK]
    assert not (tmp_path / "work_dirs").exists(), "only --zoo keeps rows"


def test_one_path_that_is_not_there_is_a_wrong_question(
    tmp_path: Path, good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked([tmp_path / "god.py"]) == 2
    line = capsys.readouterr().err
    assert "no such file" in line
    assert str(good) in line, "the nearest name"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "give CONFIG... or --zoo"),
        (["--zoo", "good.py"], "give CONFIG... or --zoo"),
        (["good.py", "--all"], "--all goes with --zoo"),
        (["good.py", "--images", "."], "--images and --proposals go together"),
        (["--zoo", "--cfg-options", "a=1"], "--cfg-options go with CONFIG"),
    ],
)
def test_words_that_do_not_go_together(
    words: list[str], complaint: str, good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked([word.replace("good.py", str(good)) for word in words]) == 2
    assert complaint in capsys.readouterr().err
