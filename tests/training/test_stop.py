"""A run that a signal asks to end: it finishes the step, saves, has the status of the signal, and goes on."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from aligndet.common.newest_checkpoint import newest_checkpoint
from aligndet.common.signals import Stopped
from aligndet.training import stop
from aligndet.training.stop import stop_requests
from tests.training.toy import At, Score, config, runner, same, weights, with_validation

STATUS: dict[int, int] = {signal.SIGTERM: 143, signal.SIGUSR1: 0, signal.SIGINT: 130}


def signalled(number: int) -> None:
    """Send a signal to this process, and wait until it was taken."""
    os.kill(os.getpid(), number)
    time.sleep(0.05)


@pytest.mark.parametrize("number", STATUS)
@pytest.mark.parametrize(("by", "length"), [("epochs", 3), ("steps", 12)])
def test_it_stops_behind_the_step_and_goes_on_to_the_same_result(
    by: str, length: int, number: int, tmp_path: Path
) -> None:
    """In the middle of an epoch of 4 steps; what lies in the folder at the end is as without a break."""
    options = {"interval": 1 if by == "epochs" else 4, "max_keep_ckpts": 1}
    last = "epoch_3.pth" if by == "epochs" else "iter_12.pth"
    runner(config(tmp_path / "whole", **{by: length}, **options)).train()
    work = tmp_path / "work"
    with pytest.raises(Stopped) as caught:
        runner(config(work, **{by: length}, **options), At(6, lambda: signalled(number))).train()
    assert caught.value.code == STATUS[number]
    saved = work / "stopped_at_6.pth"
    name = signal.Signals(number).name
    assert str(caught.value).startswith(f"{name}: stopped after 6 iterations and saved {saved}; the same")
    assert newest_checkpoint(work).path == saved
    runner(config(work, **{by: length}, **options), goes_on=True).train()
    assert sorted(path.name for path in work.glob("*.pth")) == [last]
    assert same(weights(work / last), weights(tmp_path / "whole" / last))


def test_at_the_end_of_an_epoch_its_checkpoint_is_written_and_it_is_validated_later(tmp_path: Path) -> None:
    work = tmp_path / "work"
    made = with_validation(config(work, epochs=3, interval=2))
    with pytest.raises(Stopped, match=r"stopped after 4 iterations and saved .*stopped_at_4.pth"):
        runner(made, At(4, lambda: signalled(signal.SIGTERM))).train()
    assert Score.calls == 0
    runner(made, At(8, lambda: signalled(signal.SIGTERM)), goes_on=True)
    with pytest.raises(Stopped, match=r"stopped after 8 iterations and saved .*epoch_2.pth"):
        runner(made, At(8, lambda: signalled(signal.SIGTERM)), goes_on=True).train()
    assert Score.calls == 1  # of the first epoch
    runner(made, goes_on=True).train()
    assert Score.calls == 2


@pytest.mark.parametrize("by", ["epochs", "steps"])
def test_a_run_at_its_last_step_comes_to_its_end(by: str, tmp_path: Path) -> None:
    made = config(tmp_path / "work", **{by: 1 if by == "epochs" else 4}, interval=10)
    runner(made, At(4, lambda: signalled(signal.SIGTERM))).train()
    assert [path.name for path in tmp_path.glob("work/*.pth")] == [
        "epoch_1.pth" if by == "epochs" else "iter_4.pth"
    ]


def test_without_a_checkpoint_hook_of_mmengines(tmp_path: Path) -> None:
    made = config(tmp_path / "work", steps=5)
    made.default_hooks.checkpoint = None
    with pytest.raises(Stopped):
        runner(made, At(2, lambda: signalled(signal.SIGTERM))).train()
    assert newest_checkpoint(tmp_path / "work").path == tmp_path / "work" / "stopped_at_2.pth"


def test_workers_of_the_loader_outlive_a_signal_to_the_group(tmp_path: Path) -> None:
    """The step needs its images; torch's own workers end at SIGTERM and SIGINT, and the step fails."""

    def all_signalled() -> None:
        workers = multiprocessing.active_children()
        assert len(workers) == 2
        kills = "; ".join(f"os.kill({worker.pid}, {int(number)})" for worker in workers for number in STATUS)
        subprocess.run([sys.executable, "-S", "-c", f"import os; {kills}"])  # they obey us, their parent

    runner(config(tmp_path / "work", steps=12, workers=2, interval=12), At(3, all_signalled)).train()
    assert (tmp_path / "work" / "iter_12.pth").is_file()
    for worker in multiprocessing.active_children():
        worker.terminate()
        worker.join(20)
        assert not worker.is_alive()


def test_a_second_signal_ends_at_once_whatever_the_main_thread_waits_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(stop, "SAME_REQUEST", 0.2)
    monkeypatch.setattr(os, "_exit", ended.append)
    with stop_requests() as request:
        for pause in (0.0, 0.05, 0.5):
            time.sleep(pause)
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
        assert request.number == signal.SIGTERM
    assert ended == [143]


def test_handlers_are_as_before_and_threads_have_none() -> None:
    before = [signal.getsignal(number) for number in STATUS]
    with stop_requests():
        pass
    assert [signal.getsignal(number) for number in STATUS] == before
    seen: list[Any] = []

    def elsewhere() -> None:
        with stop_requests() as request:
            seen.append(request.number)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [0]
