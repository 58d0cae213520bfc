"""A few damaged files of each kind go through the commands; `make fuzz` sends thousands."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import fuzz


@pytest.fixture(autouse=True)
def _alarm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(Path(fuzz.__file__).parent))  # as for the script
    before = signal.signal(signal.SIGALRM, fuzz.too_long)
    yield
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("kind", "count"), [("labels", 60), ("images", 40), ("stores", 40), ("checkpoints", 30), ("configs", 30)]
)
def test_damaged_files_end_in_one_line(kind: str, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.fuzz(kind, count, seed=3, keep=None) == 0, capsys.readouterr().out


def test_a_command_that_fails_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A status of 1, a traceback, a command without an end, and two lines are faults."""
    for ends, fault in (
        ((1, "aligndet x: failed"), "status 1: aligndet x: failed"),
        ((2, "Traceback (most recent call last):\nValueError: x"), "traceback: ValueError: x"),
        ((2, "aligndet x: one\naligndet x: two"), "status 2 with 2 lines of 30 characters"),
        ((0, "warning: something"), ""),
        ((2, "aligndet x: one"), ""),
    ):
        monkeypatch.setattr(fuzz, "run", lambda words, ends=ends: ends)
        assert fuzz.fault_of(["x"]).startswith(fault)
        assert bool(fuzz.fault_of(["x"])) == bool(fault)
    monkeypatch.setattr(fuzz, "run", lambda words: fuzz.too_long(14, None))
    assert fuzz.fault_of(["x"]) == "no end after 30 s"
