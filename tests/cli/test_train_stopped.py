"""``aligndet train`` as a process that others end: signals, a second run, a dead rank, slurm's queue."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aligndet.cli.main import main
from aligndet.common.config_text import config_text
from aligndet.training.checkpoint_hook import WholeCheckpointHook
from tests.training.test_checkpoint_hook import largest_file
from tests.training.toy import config, runner, same, weights

ROOT = Path(__file__).resolve().parents[2]
STEPS = 24
PAUSES = """
custom_imports = dict(imports=['tests.training.toy'], allow_failed_imports=False)
custom_hooks = [dict(type='tests.training.toy.Pauses', at=[6, 14, 22])]
"""
STARTED: list[subprocess.Popen[str]] = []
LAST = f"iter_{STEPS}.pth"


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with ``slow.py``; its tests' modules can be imported."""
    made = config(tmp_path / "work", steps=STEPS, interval=4, max_keep_ckpts=1)
    made.log_level = "INFO"
    made.env_cfg = {"dist_cfg": {"backend": "gloo"}}
    (tmp_path / "slow.py").write_text(config_text(made) + PAUSES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTHON", sys.executable)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield tmp_path
    while STARTED:
        STARTED.pop().kill()  # ranks end with it


def start(*words: str, program: tuple[str, ...] = ("-m", "aligndet", "train")) -> subprocess.Popen[str]:
    command = [sys.executable, *program, "slow.py", "--work-dir", "work", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    STARTED.append(process)
    return process


def until(holds: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.05)


def paused(step: int, process: subprocess.Popen[str], ranks: int = 1) -> list[int]:
    """Wait until all ranks are before a step; their processes."""
    files = [Path(f"work/paused_{step}_{rank}") for rank in range(ranks)]
    until(lambda: all(file.exists() for file in files) or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return [int(file.read_text()) for file in files]


def go_on(step: int) -> None:
    Path(f"work/go_{step}").touch()


def test_signals_end_it_in_order_and_it_goes_on_to_the_same_result(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = start()
    paused(6, process)
    assert main(["train", "slow.py", "--work-dir", "work"]) == 2
    host = f"host {socket.gethostname()}, process {process.pid}"
    assert f"--work-dir work: another run works in this folder now ({host})" in capsys.readouterr().err
    for number, status, step in (
        (signal.SIGTERM, 143, 6),
        (signal.SIGUSR1, 0, 14),
        (signal.SIGINT, 130, 22),
    ):
        paused(step, process)
        process.send_signal(number)
        go_on(step)
        _, said = process.communicate(timeout=120)
        assert said == (
            f"aligndet train: {number.name}: stopped after {step} iterations and saved "
            f"{there}/work/stopped_at_{step}.pth; the same command with --resume goes on from it\n"
        )
        assert process.returncode == status
        assert (there / "work" / ".requeue").exists() == (number == signal.SIGUSR1)
        if step < 22:
            process = start("--resume")
    assert main(["train", "slow.py", "--work-dir", "work", "--resume"]) == 0
    out, err = capsys.readouterr()
    assert not err
    assert f"{LAST}: {STEPS} iterations" in out
    assert [path.name for path in (there / "work").glob("*.pth")] == [LAST]
    runner(config(there / "whole", steps=STEPS, interval=4, max_keep_ckpts=1)).train()
    assert same(weights(there / "work" / LAST), weights(there / "whole" / LAST))


def test_a_full_disk_is_one_line_and_the_run_goes_on_later(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "slow.py", "--work-dir", "work", "--resume", "--cfg-options", "custom_hooks=[]"]
    assert main([*words, "train_cfg.max_iters=8"]) == 0
    capsys.readouterr()
    with largest_file(60_000):
        assert main(words) == 1
    err = capsys.readouterr().err
    assert err.startswith("aligndet train: failed: NotSavedError: ")
    assert "work/iter_12.pth was not written: File too large; checkpoints written before are whole" in err
    assert len(err.splitlines()) == 1
    assert [path.name for path in (there / "work").glob("*.pth")] == ["iter_8.pth"]
    nothing_fits = largest_file(1)
    with largest_file(10**9), pytest.MonkeyPatch.context() as patch:  # nor does the log fit from step 12 on
        patch.setattr(WholeCheckpointHook, "_count", lambda *_: nothing_fits.__enter__() or [])
        assert main(words) == 1
    assert "was not written: File too large" in capsys.readouterr().err
    assert main(words) == 0
    assert [path.name for path in (there / "work").glob("*.pth")] == [LAST]


def launched(*options: str) -> tuple[str, ...]:
    tool = str(ROOT / "tools" / "train.py")
    return ("-m", "aligndet.training.launch", "--standalone", "--nproc_per_node=2", *options, tool)


def test_a_dead_rank_and_a_signal_to_the_launcher(there: Path) -> None:
    """torchrun starts both again, they go on by themselves; then SIGTERM, and again, to the same result."""
    process = start("--launcher", "pytorch", program=launched("--max-restarts=1"))
    _, second = paused(6, process, 2)
    os.kill(second, signal.SIGKILL)
    go_on(6)
    paused(14, process, 2)
    assert f"goes on from {there}/work/iter_4.pth" in (there / "work" / "log.txt").read_text()
    process.send_signal(signal.SIGTERM)
    go_on(14)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 143, said
    assert said.count("SIGTERM: stopped after 14 iterations and saved") == 1, said
    go_on(22)
    process = start("--launcher", "pytorch", "--resume", program=launched())
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    (there / "work").rename(there / "broken")
    process = start("--launcher", "pytorch", "--cfg-options", "custom_hooks=[]", program=launched())
    process.communicate(timeout=120)
    assert same(weights(there / "work" / LAST), weights(there / "broken" / LAST))


SRUN = """#!/usr/bin/env bash
echo "$@" >> srun.txt
case $(wc -l < srun.txt) in
    1) mkdir -p work; touch work/.requeue ;;
    2) rm work/.requeue ;;
    *) exit 3 ;;
esac
"""


@pytest.mark.parametrize("in_a_batch_job", [False, True])
def test_slurm_puts_it_into_the_queue_again(
    in_a_batch_job: bool, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {"srun": SRUN, "scontrol": '#!/usr/bin/env bash\necho "$@" > scontrol.txt\n'}.items():
        (there / name).write_text(text)
        (there / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{there}:{os.environ['PATH']}")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    if in_a_batch_job:
        monkeypatch.setenv("SLURM_JOB_ID", "77")
    command = ["bash", str(ROOT / "tools" / "slurm_train.sh"), "gpu", "job", "slow.py", "work", "--seed", "3"]
    assert subprocess.run(command).returncode == 0
    calls = (there / "srun.txt").read_text().splitlines()
    assert all("--signal=USR1@300" in call and "--seed 3" in call for call in calls)
    assert [call.endswith("--resume") for call in calls] == ([False] if in_a_batch_job else [False, True])
    if in_a_batch_job:
        assert (there / "scontrol.txt").read_text() == "requeue 77\n"
    else:
        assert subprocess.run(command).returncode == 3, "a failure is passed on"
