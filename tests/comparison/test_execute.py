"""Carrying out runs: reuse, resume, failures, order of choice; no training, a fake process does a run."""

import io
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from mmengine.config import Config

from aligndet.common.console import Console
from aligndet.common.signals import Stopped, signal_of
from aligndet.comparison.execute import execute, stored_result
from aligndet.comparison.metrics import METRICS, Metric
from aligndet.comparison.plan import Run, at_edge, choose_lrs
from aligndet.comparison.status import Status

# What a run's process does here: log that it ran, fail if told so, else write a result.
FAKE = """
import json, sys, pathlib
folder = pathlib.Path(sys.argv[1])
(folder / "train").mkdir(exist_ok=True)
with (folder / "times.txt").open("a") as log:
    log.write("x")
print("loading", folder.name)
if (folder / "fail").exists():
    raise SystemExit("out of memory, say")
sets = json.loads((folder / "request.json").read_text())["evaluates"]
metrics = {name: {"AP": 0.25, "AP50": 0.5} for name in sets}
(folder / "progress.json").write_text(json.dumps({"iter": 5, "max_iters": 5, "seconds_per_iter": 0.01}))
(folder / "result.json").write_text(json.dumps({"metrics": metrics, "diverged": "nan" in folder.name}))
"""


def fake(run: Run, threads: int) -> list[str]:
    return [sys.executable, "-c", FAKE, str(run.folder)]


# The same while it trains: asked to end, it saves, which takes a moment.
TRAINING = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def end(number, frame):
    time.sleep(0.3)
    (folder / "saved").write_text(str(number))
    sys.exit(0)
for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
    signal.signal(number, end)
(folder / "begun").touch()
time.sleep(60)
"""


def make_run(
    folder: Path, start: str = "random", lr: float = 0.1, seed: int = 0, sets: str = "report"
) -> Run:
    evaluates = {name: f"hash of {name}" for name in sets.split()}
    return Run(start, 10.0, seed, lr, 5, folder, evaluates, Config({"lr": lr}))


def go(runs: list[Run], lines: list[str] | None = None, workers: int = 2) -> list[tuple[bool, str, bool]]:
    """Carry out and return (reused, error, diverged) by run."""
    console = Console(stream=io.StringIO(), interval=0.0)
    outcomes = execute(runs, workers, 1, Status(console), command=fake, poll_seconds=0.02)
    if lines is not None:
        lines += console.stream.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [outcome.run for outcome in outcomes] == runs
    return [(outcome.reused, outcome.error, outcome.diverged) for outcome in outcomes]


def times(run: Run) -> int:
    return len((run.folder / "times.txt").read_text())


def test_finished_runs_are_reused_and_weights_deleted(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", seed=1)]
    assert go(runs) == [(False, "", False)] * 2
    assert not (tmp_path / "a" / "train").exists()
    lines: list[str] = []
    assert go(runs, lines) == [(True, "", False)] * 2
    assert [times(run) for run in runs] == [1, 1]
    assert lines == ["2 of 2 runs are already finished and are reused"]


def test_a_result_on_other_data_is_not_reused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    go([run])
    changed = Run(run.start, 10.0, 0, 0.1, 5, run.folder, {"report": "another hash"}, run.config)
    assert stored_result(changed) is None
    go([changed])
    assert times(run) == 2


def test_a_search_run_serves_as_final_run_but_not_the_reverse(tmp_path: Path) -> None:
    searched = make_run(tmp_path / "a", sets="tune report")
    go([searched])
    assert stored_result(make_run(tmp_path / "a", sets="report")) is not None
    final = make_run(tmp_path / "b", sets="report")
    go([final])
    assert stored_result(make_run(tmp_path / "b", sets="tune report")) is None


def test_one_failure_does_not_stop_the_others_and_is_tried_again(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, seed=i) for i, name in enumerate("abc")]
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "fail").touch()
    lines: list[str] = []
    outcomes = go(runs, lines, workers=1)
    assert [bool(error) for _, error, _ in outcomes] == [False, True, False]
    assert "out of memory, say" in outcomes[1][1]
    assert "exit status 1" in outcomes[1][1]
    assert any("FAILED random 10% lr 0.1 seed 1" in line for line in lines)
    assert (tmp_path / "b" / "train").exists(), "a failed run keeps its checkpoint"
    (tmp_path / "b" / "fail").unlink()
    assert go(runs) == [(True, "", False), (False, "", False), (True, "", False)]


def test_killed_run_has_a_truncated_or_no_result(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    go([run])
    (tmp_path / "a" / "result.json").write_text('{"metrics": {"rep')
    assert go([run]) == [(False, "", False)]
    assert times(run) == 2


def test_divergence_is_a_result(tmp_path: Path) -> None:
    assert go([make_run(tmp_path / "nan")]) == [(False, "", True)]


def test_interrupt_ends_the_processes(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    sleeper = "import pathlib, sys, time; pathlib.Path(sys.argv[1], 'up').touch(); time.sleep(60)"

    class Interrupt(Status):
        def tick(self, *args: object) -> None:
            if (run.folder / "up").exists():
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(
            [run],
            1,
            1,
            Interrupt(Console(quiet=True)),
            command=lambda r, t: [sys.executable, "-c", sleeper, str(r.folder)],
            poll_seconds=0.02,
        )
    assert stored_result(run) is None  # and wait() has returned: the process is gone


def test_status_tells_progress_and_time_left(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(i), seed=i) for i in range(3)]
    lines: list[str] = []
    go(runs, lines, workers=1)
    done = [line for line in lines if "AP 25.00 (report)" in line]
    assert [line.split()[0] for line in done] == ["[1/3]", "[2/3]", "[3/3]"]
    assert any(line.startswith("3 runs: 5/15") and "left" in line for line in lines)
    assert lines[-1].startswith("3 runs: done in 0:0")


def test_a_quiet_console_is_told_nothing_and_a_slow_one_little(tmp_path: Path) -> None:
    for quiet, expected in ((True, 0), (False, 3)):
        runs = [make_run(tmp_path / f"{quiet}{i}", seed=i) for i in range(2)]
        console = Console(quiet=quiet, stream=io.StringIO())
        execute(runs, 1, 1, Status(console), command=fake, poll_seconds=0.02)
        told = console.stream.getvalue().splitlines()  # type: ignore[attr-defined]
        assert len(told) == expected, told


def test_a_result_without_a_measure_is_not_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "a")
    go([run])
    assert stored_result(run)
    monkeypatch.setattr("aligndet.comparison.metrics.METRICS", [*METRICS, Metric("AP75", lambda e: 0.0)])
    assert stored_result(run) is None


def test_time_left_counts_running_and_waiting(tmp_path: Path) -> None:
    running, waiting = make_run(tmp_path / "a"), make_run(tmp_path / "b")
    running.folder.mkdir()
    progress = {"iter": 3, "max_iters": 5, "seconds_per_iter": 10.0}
    (running.folder / "progress.json").write_text(json.dumps(progress))
    for workers in (1, 2):
        status = Status(Console(quiet=True))
        with status.telling(0, [running, waiting], workers):
            assert status.seconds_left([waiting], [running]) == pytest.approx((5 + 2) * 10 / workers)
            assert status.seconds_left([waiting], []) is None


def test_best_rate_by_mean_over_search_seeds(tmp_path: Path) -> None:
    scores = {(0.1, 0): 0.4, (0.1, 1): 0.0, (0.05, 0): 0.3, (0.05, 1): 0.3, (0.01, 0): 0.1, (0.01, 1): 0.1}
    scored = [(make_run(tmp_path / "x", lr=lr, seed=seed), ap) for (lr, seed), ap in scores.items()]
    assert choose_lrs(scored) == {("random", 10.0): 0.05}
    assert at_edge(0.01, [0.1, 0.05, 0.01])
    assert not at_edge(0.05, [0.1, 0.05, 0.01])
    assert not at_edge(0.1, [0.1]), "a grid of one has no inside to prefer"


def test_lower_rate_on_a_tie(tmp_path: Path) -> None:
    scored = [(make_run(tmp_path / "x", lr=lr), 0.2) for lr in (0.1, 0.05)]
    assert choose_lrs(scored) == {("random", 10.0): 0.05}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_is_passed_on_and_the_runs_have_time_to_save(number: signal.Signals, tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", seed=1)]

    def end() -> None:
        while not all((run.folder / "begun").exists() for run in runs):
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    threading.Thread(target=end, daemon=True).start()
    status = Status(Console(stream=io.StringIO(), interval=0.0))
    with pytest.raises((Stopped, KeyboardInterrupt)) as caught:
        execute(runs, 2, 1, status, command=lambda run, _: [sys.executable, "-c", TRAINING, str(run.folder)])
    assert [(run.folder / "saved").read_text() for run in runs] == [str(int(number))] * 2
    assert signal_of(caught.value) == number
    if isinstance(caught.value, Stopped):
        assert (
            str(caught.value)
            == f"{number.name}: the runs stopped and saved; the same command goes on from here"
        )
