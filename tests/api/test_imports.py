"""Modules of the user's are imported before anything else, from Python and from the command line alike.

Kind: a project whose classes are registered by its own train.py; no config names the modules.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

import aligndet
from aligndet.cli import export
from aligndet.comparison.question import make_settings
from aligndet.pipeline.present import next_commands
from aligndet.pipeline.question import make_question


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module and a config, in which the command is typed."""
    (tmp_path / "own_parts.py").write_text("")
    (tmp_path / "mine.py").write_text("model = dict(type='RetinaNet')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "own_parts", raising=False)
    return tmp_path


def test_a_module_that_is_missing_ends_every_function_before_its_work(folder: Path) -> None:
    words = r"no_such_parts: there is no module no_such_parts \(did you mean 'own_parts'\?\)"
    with pytest.raises(aligndet.InputError, match=words):
        aligndet.export("run", "out.pth", imports=["no_such_parts"])
    with pytest.raises(aligndet.InputError, match=words):
        aligndet.check("mine.py", imports=["no_such_parts"])
    with pytest.raises(aligndet.InputError, match=words):
        make_settings("mine.py", {"random": None}, "a.json", "b.json", imports=["no_such_parts"])


def test_one_module_may_be_a_word() -> None:
    with pytest.raises(aligndet.InputError, match="there is no such folder"):
        make_settings("mine.py", {"random": None}, "a", "b", images="no", lr=0.1, imports="own_parts")
    assert "own_parts" in sys.modules
    question = make_question("mine.py", "photos", imports="own_parts", train="a.json", val="b.json")
    assert question.imports == ("own_parts",)


def test_the_next_command_names_the_modules(folder: Path) -> None:
    question = make_question("mine.py", "photos", imports=["own_parts"])
    assert "--import own_parts" in next_commands(question)[1]


def test_cfg_options_of_an_export_without_a_config() -> None:
    """Their modules are imported; what would change a config that is not there is refused."""
    args = argparse.Namespace(config=None, cfg_options=["custom_imports.imports=own_parts"])
    assert export._config(args) is None
    assert "own_parts" in sys.modules
    args.cfg_options = ["model.neck.out_channels=3"]
    with pytest.raises(aligndet.InputError, match=r"model.neck.out_channels: give the config .*--config"):
        export._config(args)
