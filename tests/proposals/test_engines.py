"""Engines: processes that die, a Dask cluster of two worker processes, and only as many chunks as agreed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.proposals.engines import (
    DaskEngine,
    HereEngine,
    LocalEngine,
    Results,
    SchedulerLostError,
    Search,
    make_engine,
)
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.parallel import run_chunks
from aligndet.proposals.result import ImageProposals
from aligndet.proposals.runner import make_proposals

HERE = Path(__file__)


def obedient(names: Sequence[str]) -> list[ImageProposals]:
    """One box whose size is the process id; an image may be called "die" or "fail"."""
    if "die" in names:
        os.kill(os.getpid(), signal.SIGKILL)
    if "fail" in names:
        raise RuntimeError("no luck")
    time.sleep(0.05)
    return [ImageProposals(os.getpid(), int(name)) for name in names]


def pixel_backend() -> Callable:
    """A box for the brightest corner; an image that is all 2 kills the process."""

    def search(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if (image == 2).all():
            os.kill(os.getpid(), signal.SIGKILL)
        corner = np.random.default_rng(int(image.sum())).integers(0, 40, (20, 2))
        return np.concatenate([corner, corner + 40], axis=1).astype(np.float32), np.arange(20)

    return search


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE.parent))
    monkeypatch.setattr(f"{__name__}.obedient", __import__(HERE.stem).obedient)


def test_a_death_costs_the_image_that_caused_it_and_no_other() -> None:
    chunks = [["1", "2"], ["3", "die", "4"], ["5"], ["die"], ["6", "7"]]
    engine = LocalEngine(2)
    try:
        found = dict(run_chunks(enumerate(chunks), obedient, engine))
    finally:
        engine.close()
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert [row.height for row in found[1]] == [3, 0, 4]
    assert "process died" in found[1][1].skipped
    assert "process died" in found[3][0].skipped
    good = [row for rows in found.values() for row in rows if not row.skipped]
    assert sorted(row.height for row in good) == [1, 2, 3, 4, 5, 6, 7]
    assert os.getpid() not in {row.width for row in good}


def test_several_processes_work_at_once() -> None:
    engine = LocalEngine(2)
    try:
        found = dict(run_chunks(enumerate([str(n)] for n in range(20)), obedient, engine))
    finally:
        engine.close()
    assert len({rows[0].width for rows in found.values()}) == 2


def test_an_error_in_the_search_itself_is_raised() -> None:
    engine = LocalEngine(1)
    with pytest.raises(RuntimeError, match="no luck"):
        list(run_chunks([(0, ["fail"])], obedient, engine))
    engine.close()


def test_chunks_are_taken_only_as_there_is_room() -> None:
    taken = 0

    def chunks() -> Iterator[tuple[int, list[str]]]:
        nonlocal taken
        for number in range(50):
            taken += 1
            yield number, [str(number)]

    finished = 0
    for _ in run_chunks(chunks(), lambda names: [], HereEngine()):
        finished += 1
        assert taken <= finished + 1
    assert finished == 50


class ForgetfulEngine(HereEngine):
    """Never says that a process died, and knows when asked."""

    def __init__(self) -> None:
        self.silent: list[Results] = []

    def submit(self, search: Search, names: Sequence[str]) -> Results:
        if "silent" not in names:
            return super().submit(search, names)
        self.silent.append(Future())
        return self.silent[-1]

    def died(self, error: BaseException) -> bool:
        return isinstance(error, EOFError)

    def settle(self) -> None:
        for future in self.silent:
            future.set_exception(EOFError())
        self.silent.clear()


def test_a_search_that_ends_without_a_word_is_asked_after(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = iter(range(20))

    def patient(*args: Any, **options: Any) -> Any:
        assert next(asked, None) is not None, "nobody asks the engine"
        return wait(*args, **options)

    monkeypatch.setattr("aligndet.proposals.parallel.PATIENCE", 0.05)
    monkeypatch.setattr("aligndet.proposals.parallel.wait", patient)
    rows = dict(run_chunks([(0, ["1", "silent"])], obedient, ForgetfulEngine()))
    assert [row.height for row in rows[0]] == [1, 0]
    assert "process died" in rows[0][1].skipped


def test_dask_gives_up_what_its_scheduler_gave_up_and_nothing_else() -> None:
    states = {"a": "erred", "b": "processing", "c": None}
    futures: dict[str, Results] = {key: Future() for key in states}
    given = {"exception": lambda: None, "result": list, "cancelled": lambda: False}
    tasks = {key: SimpleNamespace(key=key, **given) for key in states}
    engine = object.__new__(DaskEngine)
    scheduler = SimpleNamespace(get_task_status=lambda keys: {key: states[key] for key in keys})
    engine._client = SimpleNamespace(scheduler=scheduler, sync=lambda ask, keys: ask(keys))  # type: ignore[assignment]
    engine._killed = lambda key, *_: EOFError(key)
    engine._tasks = {futures[key]: tasks[key] for key in states}
    engine.settle()
    assert [type(futures[key].exception(timeout=0)) for key in "ac"] == [EOFError, EOFError]
    assert not futures["b"].done()
    for key in states:  # the client hears of them after all
        engine._ended(futures[key], tasks[key])
    assert futures["b"].result(timeout=0) == []
    assert type(futures["a"].exception(timeout=0)) is EOFError


def test_a_dask_scheduler_that_is_gone_is_named() -> None:
    engine, result = object.__new__(DaskEngine), Results()
    engine._address = "tcp://there:8786"
    task = SimpleNamespace(key="a", cancelled=lambda: True)
    engine._tasks = {result: task}
    engine._ended(result, task)
    with pytest.raises(SchedulerLostError, match=r"tcp://there:8786 is gone; .* the same command"):
        result.result(timeout=0)

    def unanswered(ask: object, keys: object) -> None:
        raise OSError("closed")

    engine._client = SimpleNamespace(  # type: ignore[assignment]
        scheduler=SimpleNamespace(get_task_status=None), sync=unanswered
    )
    with pytest.raises(SchedulerLostError):
        engine.settle()


def test_unknown_engines_and_absent_clusters_are_named() -> None:
    with pytest.raises(InputError, match="engine 'spark': expected one of local, dask"):
        make_engine("spark", 1)
    with pytest.raises(InputError, match="--scheduler tcp://HOST:PORT"):
        make_engine("dask", 1)
    assert isinstance(make_engine("local", 0), HereEngine)


def test_a_dask_cluster_of_two_processes_writes_the_same_bytes(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    dask = pytest.importorskip("dask")
    for number in range(12):
        pixels = np.random.default_rng(number).integers(3, 255, (100, 120, 3), dtype=np.uint8)
        (tmp_path / "in").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "in" / f"{number:02d}.png"), pixels)
    cv2.imwrite(str(tmp_path / "in" / "05b.png"), np.full((80, 90, 3), 2, np.uint8))
    options = ProposalOptions(f"{HERE.stem}:pixel_backend")
    make_proposals(tmp_path / "in", tmp_path / "local", options, workers=2, chunk=3, progress=False)
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
    ):
        report = make_proposals(
            tmp_path / "in",
            tmp_path / "dask",
            options,
            chunk=3,
            progress=False,
            engine="dask",
            scheduler=cluster.scheduler_address,
        )
    assert report.searched == 13
    assert [row["file_name"] for row in report.skipped] == ["05b.png"]
    for path in (tmp_path / "local").iterdir():
        assert path.read_bytes() == (tmp_path / "dask" / path.name).read_bytes(), path.name
