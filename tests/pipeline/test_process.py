"""A function in a process of its own: result, errors, progress, death."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aligndet.common.errors import InputError
from aligndet.common.progress import ProgressFile
from aligndet.common.signals import Stopped, signal_of, signals_unwind
from aligndet.pipeline.process import Place, run_in_process
from aligndet.pipeline.stage import StageError

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


@dataclass(frozen=True)
class Asked:
    """What the functions below take."""

    folder: str
    numbers: tuple[int, ...] = ()


def add(request: Asked) -> dict[str, Any]:
    """Sum, and what the process sees of its surroundings."""
    ProgressFile().write(1, 2, "half", 3.0)
    time.sleep(0.4)
    print("said by the stage")
    kept = {name: os.environ.get(name) for name in ("ALIGNDET_STAGE", "ALIGNDET_METRICS_FILE")}
    return {"sum": sum(request.numbers), "cwd": os.getcwd(), "type": type(request.numbers).__name__, **kept}


def refuse(request: Asked) -> None:
    """The question is wrong."""
    raise InputError("no such thing; give another")


def fail(request: Asked) -> None:
    """The work fails."""
    raise ZeroDivisionError("by nothing")


def die(request: Asked) -> None:
    """Killed, by the kernel say."""
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(request: Asked) -> None:
    """Starts a child and waits."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(request.folder, "pids").write_text(f"{os.getpid()} {child.pid}")
    time.sleep(60)


def save(request: Asked) -> None:
    """Takes its time to save when it is asked to end, as a training does, and leaves a child behind."""

    def end(number: int, frame: Any) -> None:
        time.sleep(0.5)
        Path(request.folder, "saved").write_text(str(number))
        sys.exit(0)

    for number in SIGNALS:
        signal.signal(number, end)
    child = subprocess.Popen(["sleep", "60"])
    Path(request.folder, "pids").write_text(f"{os.getpid()} {child.pid}")
    ProgressFile().write(1, 2, "", 3.0)
    time.sleep(60)


def refuse_to_end(request: Asked) -> None:
    """Hangs."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    Path(request.folder, "pids").write_text(f"{os.getpid()}")
    ProgressFile().write(1, 2, "", 3.0)
    time.sleep(60)


def run(tmp_path: Path, name: str, told: Any = None) -> Any:
    place = Place(tmp_path / "scratch", tmp_path / "log.txt", tmp_path / "metrics.jsonl")
    return run_in_process("adding", f"{__name__}:{name}", Asked(str(tmp_path), (1, 2)), place, told)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(Path(__file__).resolve().parents[2])
    monkeypatch.setenv("PYTHONPATH", root)


def test_result_log_and_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It works in the user's folder, whose modules do not stand before Python's own."""
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "dataclasses.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path / "user")
    told: list[dict[str, Any]] = []
    result = run(tmp_path, "add", told.append)
    assert result == {
        "sum": 3,
        "cwd": str(tmp_path / "user"),
        "type": "tuple",
        "ALIGNDET_STAGE": "adding",
        "ALIGNDET_METRICS_FILE": str(tmp_path / "metrics.jsonl"),
    }
    assert "said by the stage" in (tmp_path / "log.txt").read_text()
    assert told == [{"done": 1, "total": 2, "note": "half", "seconds_left": 3.0}]


def test_errors_come_back_as_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^no such thing; give another$"):
        run(tmp_path, "refuse")
    with pytest.raises(
        StageError, match=r"'adding' failed: ZeroDivisionError: by nothing \(log: .*log.txt\)"
    ):
        run(tmp_path, "fail")
    with pytest.raises(StageError, match="SIGKILL"):
        run(tmp_path, "die")


def gone(number: int) -> bool:
    """A process that ended; one that nobody waited for counts as ended."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_a_killed_parent_takes_its_stage_along(tmp_path: Path) -> None:
    """kill -9 of the command: nothing goes on behind the user's back, in the way of the next run."""
    script = f"from tests.pipeline.test_process import *; run(Path({str(tmp_path)!r}), 'sleep')"
    parent = subprocess.Popen([sys.executable, "-c", script])
    pids = tmp_path / "pids"
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    parent.kill()
    parent.wait()
    numbers = [int(word) for word in pids.read_text().split()]
    until(lambda: all(gone(number) for number in numbers))


def until(holds: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.1)


def test_an_interrupted_parent_ends_its_stage(tmp_path: Path) -> None:
    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "add", interrupt)
    assert not (tmp_path / "scratch" / "adding.result.json").exists()


def signal_ourselves(number: int) -> Any:
    return lambda _: os.kill(os.getpid(), number)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_passed_on_and_the_stage_has_time_to_save(number: int, tmp_path: Path) -> None:
    with (
        pytest.raises((Stopped, KeyboardInterrupt)) as caught,
        signals_unwind(signal.SIGTERM, signal.SIGUSR1),
    ):
        run(tmp_path, "save", signal_ourselves(number))
    assert signal_of(caught.value) == number
    assert (tmp_path / "saved").read_text() == str(int(number))
    until(lambda: all(gone(int(word)) for word in (tmp_path / "pids").read_text().split()))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_a_second_signal_ends_a_stage_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aligndet.common.signals.SAME_REQUEST", 0.1)
    begin = time.monotonic()

    def twice(_: Any) -> None:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped), signals_unwind(signal.SIGTERM, signal.SIGUSR1):
        run(tmp_path, "refuse_to_end", twice)
    assert time.monotonic() - begin < 30
    assert gone(int((tmp_path / "pids").read_text()))


def test_the_request_is_a_file_that_people_can_read(tmp_path: Path) -> None:
    run(tmp_path, "add")
    content = json.loads((tmp_path / "scratch" / "adding.request.json").read_text())
    assert content["request"] == {"folder": str(tmp_path), "numbers": [1, 2]}
