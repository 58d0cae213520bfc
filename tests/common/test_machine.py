"""What a process that trains is given: cores, threads, memory that stays, and this package."""

import os
from pathlib import Path

import pytest

from aligndet.common.machine import MALLOC, process_environment, usable_cores


def test_cores_are_those_of_this_process() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_threads_memory_and_package_reach_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", *MALLOC):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", "/of/the/user")
    environment = process_environment(3)
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "3"
    assert environment.items() >= MALLOC.items()
    root = Path(__file__).resolve().parents[2]
    assert environment["PYTHONPATH"] == f"/of/the/user{os.pathsep}{root}"


def test_the_users_own_settings_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("MALLOC_TOP_PAD_", "1")
    environment = process_environment(3)
    assert (environment["OMP_NUM_THREADS"], environment["MALLOC_TOP_PAD_"]) == ("7", "1")
