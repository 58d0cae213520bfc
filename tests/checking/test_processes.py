"""Processes that die cost their own argument only."""

import time

from aligndet.checking.processes import Died, each_in_a_process


def test_processes_that_crash_or_take_too_long_cost_their_own_argument_only() -> None:
    crash, error, fine = "__import__('os')._exit(3)", "1 / 0", "6 * 7"
    assert dict(each_in_a_process(eval, [crash, error, fine], jobs=2)) == {
        crash: Died("the process ended with exit code 3"),
        error: Died("the process ended with exit code 1"),
        fine: 42,
    }
    assert dict(each_in_a_process(time.sleep, [600.0], limit=1)) == {600.0: Died("took more than 1 s")}
