"""Carry out runs in processes, several at a time; finished ones are reused, failed ones stop no others."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligndet.comparison.plan import Run, write_run
from aligndet.comparison.status import Status

Command = Callable[[Run, int], list[str]]


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        run: the run.
        metrics: ``{"report": {"AP", "AP50"}, ..}``, 0..1; empty when it failed.
        diverged: weights became NaN or infinite; AP counts as 0.
        reused: found finished, not run now.
        error: end of the log of a failed run, else empty.
    """

    run: Run
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    diverged: bool = False
    reused: bool = False
    error: str = ""


def run_command(run: Run, threads: int) -> list[str]:
    """The process that does one run."""
    module = "aligndet.comparison.run_one"
    return [sys.executable, "-m", module, str(run.folder), "--threads", str(threads)]


def stored_result(run: Run) -> dict[str, Any] | None:
    """The result of a finished run if it was scored on the same sets, else None."""
    try:
        result: dict[str, Any] = json.loads((run.folder / "result.json").read_text())
        evaluated = json.loads((run.folder / "request.json").read_text())["evaluates"]
    except (OSError, ValueError, KeyError):
        return None
    wanted = run.evaluates.items()
    return result if all(evaluated.get(k) == v and k in result["metrics"] for k, v in wanted) else None


def log_tail(run: Run, lines: int = 15) -> str:
    """The last lines of a run's log."""
    try:
        text = (run.folder / "log.txt").read_text(errors="replace")
    except OSError as error:
        return f"no log: {error}"
    return "\n".join(text.splitlines()[-lines:])


def environment(threads: int) -> dict[str, str]:
    """Environment of a run: thread limits, this package importable, and less memory handed back to Linux.

    The malloc settings keep freed tensors in the process; returning and faulting them in again cost about a
    tenth of a CPU training step of a small detector.
    """
    number = str(threads)
    root = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH", "")
    malloc = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "8589934592"}
    return {
        **os.environ,
        **{key: os.environ.get(key, value) for key, value in malloc.items()},
        "OMP_NUM_THREADS": number,
        "MKL_NUM_THREADS": number,
        "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root,
    }


def start_process(run: Run, threads: int, command: Command) -> "subprocess.Popen[bytes]":
    """Start a run's process with its output in ``log.txt`` (appended: a resumed run keeps its history)."""
    (run.folder / "result.json").unlink(missing_ok=True)
    write_run(run)
    with (run.folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            command(run, threads), stdout=log, stderr=subprocess.STDOUT, env=environment(threads)
        )


def finished(run: Run, code: int, keep_checkpoints: bool) -> Outcome:
    """Read the outcome of an ended process; weights of a finished run are deleted unless they are kept."""
    result = stored_result(run)
    if result is None:
        return Outcome(run, error=f"exit status {code}; end of {run.folder / 'log.txt'}:\n{log_tail(run)}")
    if not keep_checkpoints:
        shutil.rmtree(run.folder / "train", ignore_errors=True)
    return Outcome(run, result["metrics"], bool(result.get("diverged")))


@contextmanager
def ended_with_us(running: "dict[Run, subprocess.Popen[bytes]]") -> Iterator[None]:
    """End the processes still running when this one is interrupted; they resume from their checkpoints."""
    try:
        yield
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def execute(
    runs: Sequence[Run],
    jobs: int,
    threads: int,
    status: Status,
    keep_checkpoints: bool = False,
    command: Command = run_command,
    poll_seconds: float = 0.5,
) -> list[Outcome]:
    """Carry out ``runs``, ``jobs`` at a time, and return their outcomes in the same order."""
    outcomes: dict[Run, Outcome] = {}
    for run in runs:
        result = stored_result(run)
        if result is not None:
            outcomes[run] = Outcome(run, result["metrics"], bool(result.get("diverged")), reused=True)
    waiting = [run for run in dict.fromkeys(runs) if run not in outcomes]
    status.begin(len(outcomes), waiting)
    running: dict[Run, subprocess.Popen[bytes]] = {}
    with ended_with_us(running):
        while waiting or running:
            while waiting and len(running) < jobs:
                run = waiting.pop(0)
                running[run] = start_process(run, threads, command)
            time.sleep(poll_seconds)
            for run in [run for run, process in running.items() if process.poll() is not None]:
                outcomes[run] = finished(run, running.pop(run).returncode, keep_checkpoints)
                status.ended(outcomes[run], waiting, list(running), jobs)
            status.tick(waiting, list(running), jobs)
    return [outcomes[run] for run in runs]
