"""What a command prints: lines, progress, times, and what goes to the log instead."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from aligndet.common.console import Console, captured
from aligndet.common.notices import MOST_WARNINGS, warn, warnings_of_a_run
from aligndet.common.progress import PROGRESS_FILE, Rate, clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_progress_is_a_line_now_and_then_with_the_time_left() -> None:
    stream = io.StringIO()
    with Console(stream=stream, interval=0.0).stage("box domain") as progress:
        progress.update(1, 4, "loss 2.0")
        progress.update(2, 4, seconds_left=75)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "box domain: 1/4 · loss 2.0"
    assert lines[1] == "box domain: 2/4 · loss 2.0 · 1:15 left"
    assert lines[2] == "box domain: done in 0:00 · loss 2.0"


def test_between_two_lines_lies_the_interval() -> None:
    stream = io.StringIO()
    with Console(stream=stream, interval=30.0).stage("x") as progress:
        for step in range(100):
            progress.update(step, 100)
    assert stream.getvalue().splitlines() == ["x: done in 0:00"]


def test_a_terminal_shows_a_moving_line_and_keeps_the_last_line_only() -> None:
    stream = Terminal()
    with Console(stream=stream).stage("[red]x") as progress:
        progress.update(1, 2, "loss [1]")
        progress._line._bar.refresh()  # type: ignore[union-attr]
    assert "[red]x" in stream.getvalue(), "a title is no markup"
    assert "loss [1]" in stream.getvalue()
    assert stream.getvalue().endswith("[red]x: done in 0:00 · loss [1]\n")


def test_quiet_prints_nothing() -> None:
    stream = Terminal()
    console = Console(quiet=True, stream=stream)
    console.say("hello")
    with console.stage("x") as progress:
        progress.update(1, 1)
    assert not stream.getvalue()


def test_a_stage_that_fails_is_not_called_done() -> None:
    stream = io.StringIO()
    with pytest.raises(RuntimeError), Console(stream=stream).stage("x"):
        raise RuntimeError
    assert stream.getvalue() == "x: stopped after 0:00\n"


def test_another_process_reads_the_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "progress.json"
    monkeypatch.setenv(PROGRESS_FILE, str(path))
    with Console(quiet=True).stage("x") as progress:
        progress.update(1, 3, "a", seconds_left=2.0)
        progress.update(2, 3, "b")  # too young to be written
        assert json.loads(path.read_text()) == {"done": 1, "total": 3, "note": "a", "seconds_left": 2.0}
        progress.update(3, 3, "c", seconds_left=0.0)
    assert json.loads(path.read_text()) == {"done": 3, "total": 3, "note": "c", "seconds_left": 0.0}


def test_a_resumed_run_does_not_count_what_was_done_before() -> None:
    times = iter([0.0, 1.0, 2.0])
    rate = Rate(now=lambda: next(times))
    assert rate.seconds_left(1000, 1100) is None
    assert rate.seconds_left(1001, 1100) == 99
    assert rate.seconds_left(1003, 1100) == pytest.approx(97 * 2 / 3)


def test_clock() -> None:
    assert [clock(s) for s in (5, 75, 3675)] == ["0:05", "1:15", "1:01:15"]


SCRIPT = """
import os, sys, subprocess
from pathlib import Path
from aligndet.common.console import captured
print("before")
with captured(Path("log.txt")) as real:
    print("python")
    print("warning", file=sys.stderr)
    os.write(2, b"library\\n")
    subprocess.run(["echo", "child"])
    print("shown", file=real)
print("after")
"""


def test_captured_output_goes_to_the_log(tmp_path: Path) -> None:
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert (done.stdout, done.stderr) == ("before\nshown\nafter\n", "")
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert sorted(lines) == sorted(["python", "warning", "library", "child"] * 2)


def test_streams_of_a_notebook_are_captured_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with captured(tmp_path / "log.txt") as real:
        kept = sys.stdout  # what a logging handler made now would keep
        print("logged")
        print("shown", file=real)
    print("late", file=kept)
    assert capsys.readouterr().out == "shown\nlate\n"
    assert (tmp_path / "log.txt").read_text() == "logged\n"


def test_our_warnings_are_shown_once_though_output_is_captured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.txt"
    with warnings_of_a_run() as told:
        with captured(log):
            for text in ("a", "b", "a"):
                warn(text)
        with captured(log, warnings=False):
            warn("of another rank")
    assert told == ["a", "b", "of another rank"]
    assert capsys.readouterr().out == "warning: a\nwarning: b\n"
    assert log.read_text() == "warning: a\nwarning: b\nwarning: of another rank\n"
    warn("a")
    assert capsys.readouterr().err == "warning: a\n", "where nothing is captured; another run says it again"


def test_many_warnings_go_to_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with captured(tmp_path / "log.txt"), warnings_of_a_run():
        for number in range(MOST_WARNINGS + 5):
            warn(str(number))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == MOST_WARNINGS
    assert lines[-1].endswith("further warnings are in the log")
    assert len((tmp_path / "log.txt").read_text().splitlines()) == MOST_WARNINGS + 5
