"""A store is hashed once, whoever opens it, and again when its files change."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
from pathlib import Path

import numpy as np
import pytest

from aligndet.proposals import first_use
from aligndet.proposals import store as module
from aligndet.proposals.integrity import DamagedStoreError
from aligndet.proposals.store import ProposalStore, verify_store
from aligndet.proposals.store_writer import StoreWriter


class Counted:
    """Counts checks."""

    def __init__(self) -> None:
        self.calls = 0
        self.check = module._check

    def __call__(self, *given: object) -> None:
        self.calls += 1
        self.check(*given)  # type: ignore[arg-type]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Counted:
    counted = Counted()
    monkeypatch.setattr(module, "_check", counted)
    monkeypatch.setattr(first_use, "_checked", set())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(first_use, "STAMPED", 1000)
    monkeypatch.setattr(first_use, "FRESH", 0.0)
    return counted


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with StoreWriter(tmp_path / "s", {}) as writer:
        writer.append("a.jpg", 1, (99, 99), np.tile([[1, 2, 30, 40]], (50, 1)))
    time.sleep(0.01)
    return tmp_path / "s"


def as_another_process() -> None:
    first_use._checked.clear()


def test_a_process_checks_once_and_others_find_the_stamp(store: Path, counted: Counted) -> None:
    for _ in range(3):
        ProposalStore.open(store)
    assert counted.calls == 1
    as_another_process()
    ProposalStore.open(store)
    assert counted.calls == 1
    assert not any(path.name.startswith(".") for path in store.iterdir())


def test_small_stores_leave_no_stamp(
    store: Path, counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_use, "STAMPED", 1 << 22)
    ProposalStore.open(store)
    as_another_process()
    ProposalStore.open(store)
    assert counted.calls == 2
    assert not (tmp_path / "cache").exists()


def test_without_a_cache_the_check_travels_with_the_store(
    store: Path, counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    packed = pickle.dumps(ProposalStore.open(store))
    as_another_process()
    assert pickle.loads(packed).boxes(0).shape == (50, 4)
    assert counted.calls == 1
    ProposalStore.open(store)
    assert counted.calls == 2


def test_a_change_is_noticed_by_size_time_or_inode(store: Path, counted: Counted) -> None:
    ProposalStore.open(store)
    data = (store / "boxes.npy").read_bytes()
    stat = (store / "boxes.npy").stat()
    (store / "boxes.npy").write_bytes(data[:-1] + b"\0")
    os.utime(store / "boxes.npy", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the times of before
    with pytest.raises(DamagedStoreError):
        ProposalStore.open(store)
    (store / "boxes.npy").write_bytes(data)
    ProposalStore.open(store)


def test_a_store_of_this_second_is_not_remembered(
    store: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_use, "FRESH", 100.0)
    ProposalStore.open(store)
    ProposalStore.open(store)
    assert counted.calls == 2


def test_verify_reads_again_and_takes_the_stamp_back(store: Path, counted: Counted) -> None:
    ProposalStore.open(store)
    verify_store(store)
    assert counted.calls == 2
    as_another_process()
    ProposalStore.open(store)
    assert counted.calls == 3


def test_a_damaged_store_leaves_no_stamp(store: Path, counted: Counted) -> None:
    (store / "boxes.npy").write_bytes((store / "boxes.npy").read_bytes()[:-1] + b"\0")
    for _ in range(2):
        with pytest.raises(DamagedStoreError):
            ProposalStore.open(store)
    assert counted.calls == 2


def open_slowly(store: Path, log: Path) -> None:
    """Note each check; a slow one, so that processes meet."""
    check = module._check

    def slow(*given: object) -> None:
        with log.open("a") as stream:
            stream.write("checked\n")
        time.sleep(0.3)
        check(*given)  # type: ignore[arg-type]

    module._check = slow  # type: ignore[assignment]
    first_use._checked.clear()
    ProposalStore.open(store)


def test_processes_that_begin_together_check_once(store: Path, counted: Counted, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=open_slowly, args=(store, tmp_path / "log")) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert (tmp_path / "log").read_text() == "checked\n"
