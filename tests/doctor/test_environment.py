"""The doctor's whole report: operators, detectors, exit status, and this environment."""

import sys

import pytest

from aligndet.cli.main import main
from aligndet.doctor import environment as doctor
from aligndet.doctor.finding import FAULT, NOTE, OK, Finding
from aligndet.doctor.machine import Operators


def test_mmdet_that_does_not_load() -> None:
    (fault,) = doctor.check_detectors("AssertionError: MMCV==2.2.0 is used but incompatible")
    assert (fault.level, "MMCV==2.2.0" in fault.text) == (FAULT, True)
    assert list(doctor.check_detectors("")) == []


def test_package_that_does_not_register() -> None:
    (fault,) = doctor.check_registry("ModuleNotFoundError: No module named 'aligndet.common.files'")
    assert (fault.level, "aligndet.common.files" in fault.text) == (FAULT, True)
    assert list(doctor.check_registry("")) == []


@pytest.mark.parametrize(
    ("state", "level", "hint"),
    [
        (Operators(), OK, ""),
        (Operators(library="mmcv/_ext.so"), OK, ""),
        (Operators(library="mmcv/_ext.so", lacks_cuda=True), FAULT, "rm mmcv/_ext.so"),
        (Operators(error="ImportError: undefined symbol"), FAULT, "make setup OPS=compiled"),
    ],
)
def test_operators(state: Operators, level: str, hint: str) -> None:
    (finding,) = doctor.check_operators(state)
    assert finding.level == level
    assert finding.hint.startswith(hint)


@pytest.mark.parametrize(("level", "status"), [(OK, 0), (NOTE, 0), (FAULT, 1)])
def test_exit_status(
    level: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: [Finding(OK, "a"), Finding(level, "b", "do this")])
    assert main(["doctor"]) == status
    assert "do this" in capsys.readouterr().out


def test_this_environment_is_examined() -> None:
    text = "\n".join(str(one) for one in doctor.examine())
    assert all(word in text for word in ("torch ", "mmcv operators", "OpenCV", "devices", sys.executable))
