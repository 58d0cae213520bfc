"""The doctor on this package: the Python that runs it, its files, and what an old version left."""

import re
from pathlib import Path

import pytest

from aligndet.doctor import package
from aligndet.doctor.finding import FAULT, NOTE, OK

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("version", "level"), [((3, 10), FAULT), ((3, 11), OK), ((3, 13), OK), ((3, 14), FAULT)]
)
def test_python_version(version: tuple[int, int], level: str) -> None:
    (finding,) = package.check_python(version)
    assert finding.level == level
    assert ("3.11 to 3.13" in finding.text) is (level == FAULT)


def test_supported_versions_are_those_of_pyproject() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">=3.{package.OLDEST[1]},<3.{package.NEWEST[1] + 1}"' in text
    versions = re.findall(r'"Programming Language :: Python :: 3\.(\d+)"', text)
    assert list(map(int, versions)) == list(range(package.OLDEST[1], package.NEWEST[1] + 1))


def test_whole_installation(tmp_path: Path) -> None:
    (tmp_path / "aligndet").touch()
    findings = list(package.check_installation(scripts=tmp_path))
    assert [one.level for one in findings] == [OK]


def test_missing_configs_and_command(tmp_path: Path) -> None:
    findings = {one.level: one for one in package.check_installation(tmp_path, tmp_path)}
    assert "configs/_base_" in findings[FAULT].text
    assert "-m aligndet` is the same" in findings[NOTE].text


def test_line_of_an_old_version(tmp_path: Path) -> None:
    assert list(package.check_old_hook(tmp_path)) == []
    (tmp_path / package.OLD_HOOK).touch()
    (fault,) = package.check_old_hook(tmp_path)
    assert (fault.level, fault.hint) == (FAULT, f"rm {tmp_path / package.OLD_HOOK}")
