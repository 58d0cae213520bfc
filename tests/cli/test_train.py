"""``aligndet train``: mistakes are one line in no time; a run prints a few lines and logs the rest."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aligndet.cli.main import main
from tests.training.test_run import config_file

__all__ = ["config_file"]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("model = dict(type='RetinaNet')")
    Path("boxes.json").write_text("{}")
    Path("images").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mime.py"], "did you mean 'mine.py'"),
        (["mmdet::retinanet/retinanet_r50_fpn_1x_coc.py"], "did you mean"),
        (["mine.py", "--aligndet", "boxes.json"], "--images"),
        (["mine.py", "--aligndet", "boxes.json", "--images", "/nowhere"], "/nowhere"),
        (["mine.py", "--aligndet", "nowhere.json", "--images", "images"], "nowhere.json"),
        (["mine.py", "--resume", "nowhere.pth"], "nowhere.pth"),
        (["mine.py", "--max-iters", "0"], "--max-iters"),
        (["images"], "folder"),
    ],
)
def test_mistakes_that_need_no_library(
    words: list[str], said: str, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin = time.process_time()
    assert main(["train", *words]) == 2
    assert time.process_time() - begin < 1
    out, err = capsys.readouterr()
    assert not out
    assert said in err
    assert len(err.splitlines()) == 1
    assert sorted(path.name for path in there.iterdir()) == ["boxes.json", "images", "mine.py"]


def test_a_typing_error_in_an_option_is_named_before_any_work(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "mine.py", "--cfg-options", "modle.detector=1"]) == 2
    err = capsys.readouterr().err
    assert err == "aligndet train: --cfg-options modle.detector: no such key (did you mean 'model'?)\n"
    assert not (there / "work_dirs").exists()


def test_a_run_prints_a_few_lines_and_logs_the_rest(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", str(config_file), "--work-dir", "work", "--max-iters", "2", "--json", "result.json"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert not err
    first, second, third = out.splitlines()
    assert first == "log: work/log.txt"
    assert second.startswith("train work: done in ")
    assert third.startswith("work/iter_2.pth: 2 iterations, loss ")
    result = json.loads(Path("result.json").read_text())
    assert (result["checkpoint"], result["iters"]) == ("work/iter_2.pth", 2)
    assert "Saving checkpoint at 2 iterations" in Path("work/log.txt").read_text()


def test_a_failure_names_the_log_which_has_the_traceback(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for image in (tmp_path / "images").iterdir():
        image.write_bytes(b"no image")
    assert main(["train", str(config_file), "--work-dir", "work"]) == 1
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "log: work/log.txt" in err
    assert "Traceback" in Path("work/log.txt").read_text()


def test_an_interrupted_run_says_how_to_go_on(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aligndet.training.run.train", interrupted)
    assert main(["train", str(config_file), "--work-dir", "work"]) == 130
    err = capsys.readouterr().err
    assert err.startswith("aligndet train: interrupted; ")
    assert "--resume" in err


def test_the_tool_is_the_command(there: Path) -> None:
    tool = Path(__file__).parents[2] / "tools" / "train.py"
    done = subprocess.run([sys.executable, str(tool), "gone.py"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("aligndet train: config gone.py: no such file")
