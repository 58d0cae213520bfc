"""Run the planned fine-tunes in processes, several at a time; finished are reused, failed stop no others."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aligndet.common.machine import process_environment
from aligndet.common.signals import SILENT, Stopped, end_in_order, signal_of, signals_unwind
from aligndet.comparison.metrics import metric_names
from aligndet.comparison.plan import Run, write_run
from aligndet.comparison.status import Status

GOES_ON = "the same command goes on from here"

Command = Callable[[Run, int], list[str]]


@dataclass(frozen=True)
class Outcome:
    """Says how a run ended.

    Attributes:
        run: the run.
        metrics: scores by evaluation set and measure, ``{"report": {"AP": .2, ..}, ..}``, 0..1; empty when it
            failed.
        diverged: weights became NaN or infinite; AP counts as 0.
        reused: found finished, not run now.
        error: end of the log of a failed run, else empty.
        warnings: of its training and scoring.
    """

    run: Run
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    diverged: bool = False
    reused: bool = False
    error: str = ""
    warnings: tuple[str, ...] = ()


def run_command(run: Run, threads: int) -> list[str]:
    """Give the command of the process that does one run."""
    module = "aligndet.comparison.run_one"
    return [sys.executable, "-m", module, str(run.folder), "--threads", str(threads)]


def stored_result(run: Run) -> dict[str, Any] | None:
    """Read the result of a finished run; None where it was scored on other sets or by other measures."""
    try:
        result: dict[str, Any] = json.loads((run.folder / "result.json").read_text())
        evaluated = json.loads((run.folder / "request.json").read_text())["evaluates"]
    except (OSError, ValueError, KeyError):
        return None
    for name, content in run.evaluates.items():
        scores = result["metrics"].get(name, {})
        if evaluated.get(name) != content or not set(metric_names()) <= set(scores):
            return None
    return result


def log_tail(run: Run, lines: int = 15) -> str:
    """Read the last lines of a run's log."""
    try:
        text = (run.folder / "log.txt").read_text(errors="replace")
    except OSError as error:
        return f"no log: {error}"
    return "\n".join(text.splitlines()[-lines:])


def start_process(run: Run, threads: int, command: Command) -> "subprocess.Popen[bytes]":
    """Start a run's process with its output in ``log.txt`` (appended: a resumed run keeps its history)."""
    (run.folder / "result.json").unlink(missing_ok=True)
    write_run(run)
    with (run.folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            command(run, threads), stdout=log, stderr=subprocess.STDOUT, env=process_environment(threads)
        )


def finished(run: Run, code: int, keep_checkpoints: bool) -> Outcome:
    """Read the outcome of an ended process; weights of a finished run are deleted unless they are kept."""
    result = stored_result(run)
    if result is None:
        return Outcome(run, error=f"exit status {code}; end of {run.folder / 'log.txt'}:\n{log_tail(run)}")
    if not keep_checkpoints:
        shutil.rmtree(run.folder / "train", ignore_errors=True)
    told = tuple(result.get("warnings", ()))
    return Outcome(run, result["metrics"], bool(result.get("diverged")), warnings=told)


@contextmanager
def ended_with_us(running: "dict[Run, subprocess.Popen[bytes]]") -> Iterator[None]:
    """Pass on what interrupts this process to those still running: they save, and go on from there."""
    try:
        yield
    except BaseException as error:
        end_in_order(list(running.values()), signal_of(error))
        if isinstance(error, Stopped):
            name = signal.Signals(error.number).name
            raise Stopped(error.number, f"{name}: the runs stopped and saved; {GOES_ON}") from error
        raise


def execute(
    runs: Sequence[Run],
    workers: int,
    threads: int,
    status: Status,
    keep_checkpoints: bool = False,
    command: Command = run_command,
    poll_seconds: float = 0.5,
) -> list[Outcome]:
    """Do ``runs``, ``workers`` at a time, and return their outcomes in the same order."""
    outcomes = {run: outcome for run in runs if (outcome := reused_outcome(run))}
    waiting = [run for run in dict.fromkeys(runs) if run not in outcomes]
    running: dict[Run, subprocess.Popen[bytes]] = {}
    unwinding = signals_unwind(*SILENT)
    with unwinding, status.telling(len(outcomes), waiting, workers), ended_with_us(running):
        while waiting or running:
            while waiting and len(running) < workers:
                run = waiting.pop(0)
                running[run] = start_process(run, threads, command)
            time.sleep(poll_seconds)
            for run in [run for run, process in running.items() if process.poll() is not None]:
                outcomes[run] = finished(run, running.pop(run).returncode, keep_checkpoints)
                status.ended(outcomes[run])
            status.tick(waiting, list(running))
    return [outcomes[run] for run in runs]


def reused_outcome(run: Run) -> Outcome | None:
    """Find the outcome that an earlier comparison left of a run; None where there is none."""
    result = stored_result(run)
    if result is None:
        return None
    return Outcome(run, result["metrics"], bool(result.get("diverged")), reused=True)
