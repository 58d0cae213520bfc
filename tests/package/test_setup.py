"""The set-up files: pins with reasons, a supported Python, cheap repeated set-up."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def requirements() -> dict[str, str]:
    """Pinned name -> rest of the line."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return dict(re.split("==", line, maxsplit=1) for line in lines if line and not line.startswith("#"))


def test_every_requirement_is_pinned_and_has_a_reason() -> None:
    for name, rest in requirements().items():
        assert re.match(r"[\w.]+ +# \S.{8}", rest), f"{name}=={rest}"


def test_torch_and_torchvision_belong_together() -> None:
    pins = {name: rest.split()[0].split(".") for name, rest in requirements().items()}
    assert int(pins["torchvision"][1]) == int(pins["torch"][1]) + 15


def test_opencv_distributions_have_one_version() -> None:
    assert len({rest.split()[0] for name, rest in requirements().items() if name.startswith("opencv")}) == 1


def test_continuous_integration_resolves_and_tests() -> None:
    """The check of the claimed versions needs a package index, so it stands beside the tests, not in them."""
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert lines[-4:] == ["make setup", ".ci/resolve", "make test", "exec .ci/openmmlab"]
    resolve = (ROOT / ".ci" / "resolve").read_text(encoding="utf-8")
    assert all(word in resolve for word in ("--python-version", "--only-binary=:all:", "-r requirements.txt"))
    assert all(os.access(ROOT / ".ci" / name, os.X_OK) for name in ("run", "resolve", "openmmlab"))


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
class TestMakefile:
    """``make -n`` in a copy with a made-up environment: what would be run."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for name in ("Makefile", "requirements.txt", "pyproject.toml"):
            shutil.copy(ROOT / name, tmp_path)
        (tmp_path / ".venv" / "bin").mkdir(parents=True)
        return tmp_path

    def make(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        # a `make test` above this test hands its own variables down
        inherited = {"MAKEFLAGS", "MFLAGS", "OPS", "IMAGES", "PIP_ARGS", "ARGS", "PYTHON"}
        environment = {name: value for name, value in os.environ.items() if name not in inherited}
        command = ["make", "--no-print-directory", *arguments]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    def dry_run(self, folder: Path, *arguments: str) -> str:
        run = self.make(folder, "-n", *arguments)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def finish(self, folder: Path) -> None:
        """Do what the last line of the set-up does: leave its stamp."""
        stamp = re.search(r"touch (\S+)", self.dry_run(folder, "setup"))
        assert stamp is not None
        (folder / stamp[1]).touch()

    def test_first_set_up_installs(self, folder: Path) -> None:
        commands = self.dry_run(folder, "setup")
        assert "-r requirements.txt" in commands
        assert "-m aligndet.ops.compiled" not in commands

    def test_second_set_up_does_nothing(self, folder: Path) -> None:
        self.finish(folder)
        assert "pip" not in self.dry_run(folder, "setup")

    def test_changed_requirements_are_installed(self, folder: Path) -> None:
        self.finish(folder)
        with (folder / "requirements.txt").open("a") as file:
            file.write("another==1.0  # reason\n")
        assert "-r requirements.txt" in self.dry_run(folder, "setup")

    def test_compiled_operators_on_demand(self, folder: Path) -> None:
        self.finish(folder)
        assert "-m aligndet.ops.compiled" in self.dry_run(folder, "setup", "OPS=compiled")

    def test_demo_takes_a_folder(self, folder: Path) -> None:
        assert '-m aligndet demo --images "my photos"' in self.dry_run(folder, "demo", "IMAGES=my photos")
        assert "--images" not in self.dry_run(folder, "demo")

    def test_set_up_ends_with_the_way_to_the_command(self, folder: Path) -> None:
        assert "Now: . .venv/bin/activate" in self.dry_run(folder, "setup")

    def test_old_start_up_line_goes(self, folder: Path) -> None:
        assert "rm -f .venv/lib/python3*/site-packages/aligndet_ops.pth" in self.dry_run(folder, "setup")

    def test_no_supported_python_names_those_that_would_do(self, folder: Path) -> None:
        """A Python that is too old is not taken, and nothing is made."""
        old = folder / "python"
        old.write_text('#!/bin/sh\nexit 1  # what "is this version supported" answers\n')
        old.chmod(0o755)
        run = self.make(folder, "setup", "VENV=other", f"PYTHON={old}")
        assert run.returncode == 2
        assert f"No supported Python at {old}. One of 3.11 3.12 3.13" in run.stderr
        assert not (folder / "other").exists()

    def test_python_is_asked_for_the_claimed_versions(self, folder: Path) -> None:
        commands = self.dry_run(folder, "setup", "VENV=other")
        assert "for python in python3.11 python3.12 python3.13 python3 python;" in commands
        assert "(3, 11) <= sys.version_info[:2] < (3, 14)" in commands
