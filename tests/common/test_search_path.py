"""A user's file never stands in the place of Python's own module."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import runpy, sys
from aligndet.common.search_path import put_current_folder_last
put_current_folder_last()
import colorsys, mine
print(colorsys.__file__, mine.__file__)
"""


def test_the_current_folder_comes_last(tmp_path: Path) -> None:
    (tmp_path / "colorsys.py").write_text("")
    (tmp_path / "mine.py").write_text("")
    words = [sys.executable, "-c", CODE]
    found = subprocess.run(
        words,
        cwd=tmp_path,
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert Path(found[0]).parent != tmp_path
    assert Path(found[1]).parent == tmp_path


@pytest.mark.parametrize("words", [["-m", "aligndet", "--version"], ["-m", "aligndet", "doctor", "--help"]])
def test_a_command_runs_beside_a_file_named_as_a_module_of_python(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "ssl.py").write_text("raise SystemExit('shadowed')")
    subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        check=True,
        capture_output=True,
    )
