"""The lock of a work dir: one run at a time, named; a dead one's is free."""

import errno
import fcntl
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from aligndet.common import work_dir
from aligndet.common.errors import InputError
from aligndet.common.work_dir import is_held, locked


def other_process(folder: Path) -> int:
    """A process that works in a folder."""
    pid = os.fork()
    if not pid:
        with locked(folder):
            (folder / "begun").touch()
            time.sleep(60)
        os._exit(0)
    while not (folder / "begun").exists():
        time.sleep(0.01)
    return pid


def test_a_second_run_is_told_who_works_there(tmp_path: Path) -> None:
    pid = other_process(tmp_path / "work")
    with pytest.raises(InputError) as caught, locked(tmp_path / "work", patience=0.0):
        pass
    assert str(caught.value) == (
        f"--work-dir {tmp_path / 'work'}: another run works in this folder now (host {socket.gethostname()}, "
        f"process {pid}); wait for it, end it, or give another --work-dir"
    )
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with locked(tmp_path / "work", patience=0.0):
        assert is_held(tmp_path / "work" / ".." / "work")
    assert not is_held(tmp_path / "work")


def test_one_who_is_about_to_end_is_waited_for(tmp_path: Path) -> None:
    pid = other_process(tmp_path)
    killer = os.fork()
    if not killer:
        time.sleep(0.5)
        os.kill(pid, signal.SIGKILL)
        os._exit(0)
    with locked(tmp_path):
        pass
    os.waitpid(pid, 0)
    os.waitpid(killer, 0)


def test_what_this_process_forks_does_not_hold_it(tmp_path: Path) -> None:
    """Workers of a loader outlive a killed run for seconds."""
    with locked(tmp_path):
        pid = os.fork()
        if not pid:
            time.sleep(60)
            os._exit(0)
    with locked(tmp_path, patience=0.0):
        pass
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_the_same_process_twice(tmp_path: Path) -> None:
    with (
        locked(tmp_path, "--out"),
        pytest.raises(InputError, match=f"process {os.getpid()}.*give another --out"),
        locked(tmp_path, "--out"),
    ):
        pass


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--work-dir .*file: cannot be written \(.*\); give another"):
        locked(tmp_path / "file").__enter__()


def test_without_locks_the_named_process_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", none)
    lock = tmp_path / work_dir.LOCK
    lock.write_text(f"{socket.gethostname()} {os.getppid()}\n")
    with pytest.raises(InputError, match=f"process {os.getppid()}"), locked(tmp_path, patience=0.0):
        pass
    for dead in (f"{socket.gethostname()} 999999999\n", "another.host 1\n", "", "nonsense", "a b c"):
        lock.write_text(dead)
        with locked(tmp_path, patience=0.0):
            assert lock.read_text() == f"{socket.gethostname()} {os.getpid()}\n"
