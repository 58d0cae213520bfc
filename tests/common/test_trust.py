"""Whether files may run code: said once, for a process and what it starts."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from aligndet.common.machine import process_environment
from aligndet.common.trust import CONTRARY, files_run_no_code, forced, refusal, trusted, trusting

ASK = "from aligndet.common.trust import forced, trusted; print(trusted(), forced())"


def child() -> str:
    asked = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, env=process_environment(1), check=True
    )
    return asked.stdout.strip()


def test_a_process_and_what_it_starts_hold_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(os.environ)
    with files_run_no_code():
        assert (trusted(), forced(), child()) == (False, True, "False True")
        with trusting():
            assert (trusted(), forced(), child()) == (True, False, "True False")
            with files_run_no_code():  # of a process that was started there
                assert (trusted(), forced()) == (True, False)
            with trusting(False):
                assert (trusted(), forced()) == (False, True)
        assert forced()
    assert dict(os.environ) == before
    monkeypatch.setenv(CONTRARY, "1")
    with files_run_no_code():  # torch loads nothing where both are set
        assert CONTRARY not in os.environ
    assert os.environ[CONTRARY] == "1"


def test_what_a_library_s_call_to_torch_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    torch.save({"a": tmp_path}, tmp_path / "a.pth")
    with files_run_no_code(), pytest.raises(pickle.UnpicklingError) as caught:
        torch.load(tmp_path / "a.pth", weights_only=False)
    assert refusal(caught.value) == (
        "a file of weights holds Python objects (pathlib.PosixPath) that can run code when read; "
        "give --trust if you trust where it comes from"
    )
    assert refusal(ValueError("GLOBAL x")) == ""
    assert torch.load(tmp_path / "a.pth", weights_only=False)["a"] == tmp_path
