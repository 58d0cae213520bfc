"""Help costs next to nothing: no command loads a library that computes before it runs."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from aligndet.cli.overview import COMMANDS

SECONDS = 0.5
ASKS = {
    "--help": ["--help"],
    "--version": ["--version"],
    "show --help": ["show", "--help"],
    **{f"{name} --help": [*name.split(), "--help"] for name in COMMANDS},
}
HEAVY = ("torch", "mmengine", "mmcv", "mmdet", "mmpretrain", "numba", "cv2", "scipy", "sklearn", "matplotlib")
LOADED = (
    "import sys; from aligndet.cli.main import main; main(sys.argv[1:]); "
    f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
)


def cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("words", ASKS.values(), ids=ASKS)
def test_help_is_cheap(words: list[str]) -> None:
    spent = []
    for _ in range(3):  # the first may compile modules to byte code
        before = cpu_of_children()
        done = subprocess.run(
            [sys.executable, "-m", "aligndet", *words], capture_output=True, text=True, timeout=60
        )
        spent.append(cpu_of_children() - before)
        assert done.returncode == 0
        assert done.stderr == ""
        if min(spent) < SECONDS:
            break
    assert min(spent) < SECONDS


@pytest.mark.parametrize("words", ASKS.values(), ids=ASKS)
def test_help_loads_no_library_that_computes(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", LOADED, *words], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"
