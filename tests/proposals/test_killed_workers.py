"""Cluster runs of which a machine dies: the others do its work, no image is lost, the bytes are the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.runner import make_proposals

HERE = Path(__file__)
IMAGES, CHUNK = 24, 2


def slow_backend(log: str = "", delay: float = 0.0) -> Callable:
    """Boxes that follow from the pixels; writes its process id to ``log``."""

    def search(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if log:
            with open(log, "a") as stream:
                stream.write(f"{os.getpid()}\n")
        time.sleep(delay)
        corner = np.random.default_rng(int(image.sum())).integers(0, 20, (9, 2))
        return np.concatenate([corner, corner + 40], axis=1).astype(np.float32), np.arange(9)

    return search


def options(log: Path, delay: float = 0.1) -> ProposalOptions:
    return ProposalOptions(f"{HERE.stem}:slow_backend", {"log": str(log), "delay": delay})


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE.parent))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for number in range(IMAGES):
        pixels = np.random.default_rng(number).integers(0, 255, (60, 70, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / "in" / f"{number:02d}.png"), pixels)
    return tmp_path / "in"


def check_equal(images: Path, out: Path, log: Path) -> None:
    """The store is that of a run that nothing disturbed."""
    fresh = out.with_name("fresh")
    make_proposals(images, fresh, options(log), chunk=CHUNK, progress=False)
    for path in fresh.iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes(), path.name
    assert sorted(path.name for path in out.parent.iterdir()) == ["fresh", "in", "log", "out"]


def start_shard(images: Path, out: Path, log: Path, shard: str) -> subprocess.Popen[bytes]:
    """A task of a slurm array."""
    command = [sys.executable, "-m", "aligndet", "proposals", "make", str(images), str(out), "--shard", shard]
    command += ["--backend", f"{HERE.stem}:slow_backend", "--backend-options", f"log={log}", "delay=0.1"]
    command += ["--chunk", str(CHUNK), "--workers", "0"]
    paths = os.pathsep.join([str(HERE.parents[2]), str(HERE.parent)])
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("given_again", [True, False])
def test_a_task_of_an_array_is_killed(images: Path, tmp_path: Path, given_again: bool) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    killed = start_shard(images, out, log, "0/2")
    parts = out.with_name("out.parts")
    wait_until(lambda: parts.exists() and any(parts.glob("*.part")))
    other = start_shard(images, out, log, "1/2")
    killed.kill()
    killed.wait()
    assert other.wait(120) == 0
    done = CHUNK * len(list(parts.glob("*.part")))
    assert IMAGES // 2 < done < IMAGES
    log.write_text("")
    if given_again:
        assert start_shard(images, out, log, "0/2").wait(120) == 0
    report = make_proposals(images, out, options(log), chunk=CHUNK, progress=False)
    assert report.searched == (0 if given_again else IMAGES - done)
    assert len(log.read_text().splitlines()) == IMAGES - done
    assert (report.images, report.skips) == (IMAGES, 0)
    check_equal(images, out, log)


@pytest.mark.parametrize("allowed_failures", [0, 3])
def test_a_dask_worker_is_killed(images: Path, tmp_path: Path, allowed_failures: int) -> None:
    distributed, dask = pytest.importorskip("distributed"), pytest.importorskip("dask")
    out, log = tmp_path / "out", tmp_path / "log"
    killed: list[int] = []

    def kill_one() -> None:
        wait_until(lambda: log.exists() and len(log.read_text().splitlines()) > 4)
        killed.append(int(log.read_text().split()[0]))
        os.kill(killed[0], signal.SIGKILL)

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": allowed_failures}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
    ):
        killer = threading.Thread(target=kill_one)
        killer.start()
        given = {"engine": "dask", "scheduler": cluster.scheduler_address}
        report = make_proposals(images, out, options(log), chunk=CHUNK, progress=False, **given)
        killer.join()
    assert len(set(log.read_text().split()) - {str(killed[0])}) >= 1
    assert (report.images, report.skips, report.searched) == (IMAGES, 0, IMAGES)
    check_equal(images, out, log)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
