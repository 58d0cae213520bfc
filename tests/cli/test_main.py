"""``aligndet``: the overview, how a command is found, and how each way of ending is told."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aligndet.cli import main as program
from aligndet.cli.failure import CommandFailedError
from aligndet.cli.main import main
from aligndet.cli.overview import COMMANDS, GROUPS, TYPICAL
from aligndet.common.errors import InputError
from aligndet.common.signals import Stopped


@dataclass(frozen=True)
class Answer:
    folder: Path
    recall: float
    counts: np.ndarray


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replaces ``aligndet doctor`` by a command that does what the test says."""

    def put(run: Any) -> None:
        module = SimpleNamespace(
            SUMMARY="try", EXAMPLES="aligndet doctor", add_arguments=lambda parser: None, run=run
        )
        real = importlib.import_module
        monkeypatch.setattr(
            program.importlib,
            "import_module",
            lambda name: module if name == COMMANDS["doctor"] else real(name),
        )

    return put


def raising(error: BaseException) -> Any:
    def run(args: argparse.Namespace) -> None:
        raise error

    return run


def test_help_lists_every_command_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    for name, module in COMMANDS.items():
        line = next(line for line in printed.splitlines() if line.startswith(f"  {name} "))
        assert line.endswith(importlib.import_module(module).SUMMARY)
    assert all(line in printed for line in TYPICAL.splitlines())
    assert main([]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("group", GROUPS)
def test_help_of_a_group_lists_its_commands(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([group, "--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"  {group} {name} " in printed for name in GROUPS[group])
    assert not any(f"  {other} " in printed for other in COMMANDS if not other.startswith(group))


def test_help_of_a_command_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["labels", "split", "--help"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage: aligndet labels split ")
    assert printed.rstrip().splitlines()[-1].strip().startswith("aligndet labels split ")


def test_version_names_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("aligndet ")
    for name in ("python 3.", "torch ", "mmengine "):
        assert name in printed


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["pretrian"], "aligndet pretrian: unknown command (did you mean 'pretrain'?); see aligndet --help"),
        (["xyz"], "aligndet xyz: unknown command; see aligndet --help"),
        (["--quiet"], "aligndet --quiet: unknown command; see aligndet --help"),
        (
            ["proposals", "mak"],
            "aligndet proposals mak: unknown command (did you mean 'make'?); see aligndet proposals --help",
        ),
        (["labels"], "aligndet labels: give one of check, split, convert; see aligndet labels --help"),
        (
            ["doctor", "--jsn", "x.json"],
            "aligndet doctor: unrecognized arguments: --jsn x.json (did you mean '--json'?); "
            "see aligndet doctor --help",
        ),
        (
            ["doctor", "--verb"],
            "aligndet doctor: unrecognized arguments: --verb (did you mean '--verbose'?); "
            "see aligndet doctor --help",
        ),
    ],
)
def test_a_wrong_word_is_one_line_with_the_nearest(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"{line}\n")


def test_a_wrong_question_is_one_line(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    command(raising(InputError("a.json: no list\n  of images")))
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err == "aligndet doctor: a.json: no list of images\n"


def test_failed_work_is_one_line_with_its_log(
    command: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    error = RuntimeError("size mismatch\n400 lines of config")
    command(raising(error))
    assert main(["doctor"]) == 1
    assert capsys.readouterr().err == "aligndet doctor: failed: RuntimeError: size mismatch\n"
    error.log = tmp_path / "log.txt"  # type: ignore[attr-defined]
    assert main(["doctor"]) == 1
    assert capsys.readouterr().err.endswith(f"RuntimeError: size mismatch; log: {tmp_path}/log.txt\n")


@pytest.mark.parametrize(("error", "status"), [(RuntimeError("no"), 1), (InputError("no"), 2)])
def test_verbose_shows_the_traceback(
    error: Exception, status: int, command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(error))
    assert main(["doctor", "--verbose"]) == status
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1].startswith("aligndet doctor: ")


def test_an_interruption_says_how_to_go_on(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    command(raising(KeyboardInterrupt()))
    assert main(["doctor"]) == 130
    line = "aligndet doctor: interrupted; the same command goes on from here\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 0)])
def test_a_command_that_stopped_says_what_it_saved(
    number: int, status: int, command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(Stopped(number, "saved work/iter_3.pth")))
    assert main(["doctor"]) == status
    assert capsys.readouterr().err == "aligndet doctor: saved work/iter_3.pth\n"


def test_the_result_is_written_as_data(
    command: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "new" / "result.json"

    def run(args: argparse.Namespace) -> Answer:
        print("seen")
        return Answer(tmp_path, float("nan"), np.arange(2))

    command(run)
    assert main(["doctor", "--json", str(out)]) == 0
    assert json.loads(out.read_text()) == {"folder": str(tmp_path), "recall": None, "counts": [0, 1]}
    assert capsys.readouterr().out == "seen\n"


def test_a_bad_answer_is_written_too(command: Any, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    command(raising(CommandFailedError({"faults": 1})))
    assert main(["doctor", "--json", str(out)]) == 1
    assert json.loads(out.read_text()) == {"faults": 1}


def test_quiet_prints_nothing_but_errors(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def run(args: argparse.Namespace) -> None:
        print("seen")
        raise InputError("wrong")

    command(run)
    assert main(["doctor", "--quiet"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "aligndet doctor: wrong\n")


def test_own_modules_are_imported_from_the_users_folder(
    command: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_heads_of_this_test.py").write_text("print('registered')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    command(lambda args: None)
    assert main(["doctor", "--import", "own_heads_of_this_test"]) == 0
    assert capsys.readouterr().out == "registered\n"
    assert main(["doctor", "--import", "own_heads_of_this_tst"]) == 2
    assert "(did you mean 'own_heads_of_this_test'?)" in capsys.readouterr().err


def test_sigterm_unwinds_so_that_children_end(tmp_path: Path) -> None:
    """A command that waits for a child is ended: its ``finally`` ends the child, the status is 143."""
    script = tmp_path / "waits.py"
    script.write_text(
        "import subprocess, sys\n"
        "from aligndet.cli import doctor\n"
        "from aligndet.cli.main import main\n"
        "def run(args):\n"
        "    child = subprocess.Popen(['sleep', '60'])\n"
        "    try:\n"
        "        print(child.pid, flush=True)\n"
        "        child.wait()\n"
        "    finally:\n"
        "        child.terminate()\n"
        "        child.wait()\n"
        "doctor.run = run\n"
        "sys.exit(main(['doctor']))\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 143
    for _ in range(100):
        if not Path(f"/proc/{child}").exists():
            break
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_whoever_reads_no_further_sees_no_traceback() -> None:
    head = f"{sys.executable} -m aligndet proposals make --help | head -n 1"
    done = subprocess.run(["bash", "-c", head], capture_output=True, text=True, timeout=20)
    assert done.stderr == ""
    assert done.stdout.startswith("usage:")
