"""One list of versions: what run.json, the report and ``--version`` tell is what the doctor examines."""

from importlib import metadata
from types import SimpleNamespace
from typing import Any

import pytest

import aligndet
from aligndet.cli.overview import version
from aligndet.doctor.versions import deciding_versions
from aligndet.pipeline import run_file

INSTALLED = {"torch": "2.9", "mmengine": "0.10.7", "mmcv-lite": "2.1.0", "onedl-mmdetection": "3.5.1"}


@pytest.fixture(autouse=True)
def _made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def number(name: str) -> str:
        if name not in INSTALLED:
            raise metadata.PackageNotFoundError(name)
        return INSTALLED[name]

    monkeypatch.setattr(metadata, "version", number)


def test_distributions_of_either_family_are_told_and_others_are_not() -> None:
    found = deciding_versions()
    assert found.pop("aligndet") == aligndet.__version__
    assert found.pop("python").startswith("3.")
    assert found == INSTALLED


def test_a_run_and_the_command_tell_the_same() -> None:
    question: Any = SimpleNamespace(decisive=dict, seed=0, folder=None)
    told = run_file.new(question, [], "").data["versions"]
    assert told == deciding_versions()
    assert version() == ", ".join(f"{name} {number}" for name, number in told.items())
