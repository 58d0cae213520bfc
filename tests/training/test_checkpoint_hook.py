"""Checkpoints of a run: whole or not at all, old ones removed behind new ones, mmengine's options kept."""

import errno
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aligndet.common.checkpoints import CheckpointError
from aligndet.common.newest_checkpoint import newest_checkpoint
from aligndet.training.runner import NotSavedError
from tests.training.toy import At, config, runner, same, weights, with_validation


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if ".pth" in path.name)


OPTIONS: dict[str, dict[str, Any]] = {
    "all": {"interval": 1},
    "two": {"interval": 1, "max_keep_ckpts": 2},
    "one, and the last": {"interval": 2, "max_keep_ckpts": 1},
    "not the last": {"interval": 2, "save_last": False},
    "late": {"interval": 1, "save_begin": 3},
    "names": {"interval": 1, "filename_tmpl": "model-{}.pth", "max_keep_ckpts": 2},
    "best": {"interval": 1, "save_best": "score", "rule": "greater", "max_keep_ckpts": 1},
    "best of several": {"interval": 2, "save_best": ["score"], "rule": ["less"]},
    "published": {"interval": 3, "published_keys": ["meta", "state_dict"]},
    "without optimiser": {"interval": 1, "save_optimizer": False, "save_param_scheduler": False},
}


@pytest.mark.parametrize("by", ["epochs", "steps"])
@pytest.mark.parametrize("name", OPTIONS)
def test_options_mean_what_they_mean_to_mmengine(name: str, by: str, tmp_path: Path) -> None:
    found = {}
    for stock in (True, False):
        work = tmp_path / f"stock_{stock}"
        made = config(work, **{by: 5}, **OPTIONS[name])
        runner(with_validation(made), stock=stock).train()
        digest = {path: path.rpartition("-")[0] for path in checkpoints(work) if name == "published"}
        found[stock] = [digest.get(path) or path for path in checkpoints(work)]
        assert Path((work / "last_checkpoint").read_text()).parent == work
        assert Path((work / "last_checkpoint").read_text()).name in checkpoints(work)
    assert found[True] == found[False]


def test_another_folder_for_checkpoints(tmp_path: Path) -> None:
    runner(config(tmp_path / "work", steps=2, interval=1, out_dir=str(tmp_path / "out"))).train()
    assert checkpoints(tmp_path / "out" / "work") == ["iter_1.pth", "iter_2.pth"]
    assert newest_checkpoint(tmp_path / "work").path == tmp_path / "out" / "work" / "iter_2.pth"


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the system refuse longer files, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    work = tmp_path / "work"
    made = config(work, steps=5, interval=1, max_keep_ckpts=1)
    limit = largest_file(50_000)
    with pytest.raises(NotSavedError) as caught:
        runner(made, At(3, limit.__enter__)).train()
    limit.__exit__(None, None, None)
    assert str(caught.value).startswith(f"{work / 'iter_3.pth'} was not written: File too large; ")
    assert len(str(caught.value).splitlines()) == 1
    assert checkpoints(work) == ["iter_2.pth"]
    assert newest_checkpoint(work).path == work / "iter_2.pth"
    assert (work / "last_checkpoint").read_text() == str(work / "iter_2.pth")
    runner(config(work, steps=5, interval=1, max_keep_ckpts=1), goes_on=True).train()
    assert checkpoints(work) == ["iter_5.pth"]


def test_the_old_one_goes_when_the_new_one_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done in which order: content, name, folder, and then only the removal."""
    done: list[str] = []
    work = tmp_path / "work"

    def note(name: str, function: Any) -> Any:
        def noted(first: Any, *rest: Any, **options: Any) -> Any:
            target = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(rest or first)
            if "iter_2" in target or "iter_1" in target or target == str(work):
                done.append(f"{name} {'folder' if target == str(work) else 'file'}")
            return function(first, *rest, **options)

        return noted

    runner_ = runner(config(work, steps=2, interval=1, max_keep_ckpts=1))
    with monkeypatch.context() as patched:
        start = At(2, done.clear)
        runner_.register_hook(start)
        patched.setattr(os, "fsync", note("sync", os.fsync))
        patched.setattr(os, "replace", note("rename", os.replace))
        patched.setattr(os, "remove", note("remove", os.remove))
        runner_.train()
    assert done[:3] == ["sync file", "rename file", "sync folder"]
    assert done[-1] == "remove file"
    assert checkpoints(work) == ["iter_2.pth"]


@pytest.mark.parametrize("before_removal", [True, False])
def test_a_kill_while_a_checkpoint_is_written(
    before_removal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is gone before the file has its name, or before the old one is removed."""
    work = tmp_path / "work"
    pid = os.fork()
    if not pid:
        made = runner(config(work, steps=5, interval=2, max_keep_ckpts=1))
        name = "aligndet.training.checkpoint_hook.write_text" if before_removal else "os.replace"
        dies = At(4, lambda: monkeypatch.setattr(name, lambda *_: os._exit(9)))
        made.register_hook(dies)
        made.train()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    left = ["iter_2.pth", "iter_4.pth"] if before_removal else [f".iter_4.pth.{pid}.tmp", "iter_2.pth"]
    assert checkpoints(work) == left
    runner(config(work, steps=5, interval=2, max_keep_ckpts=1), goes_on=True).train()
    assert checkpoints(work) == ["iter_5.pth"]
    runner(config(tmp_path / "whole", steps=5, interval=2, max_keep_ckpts=1)).train()
    assert same(weights(work / "iter_5.pth"), weights(tmp_path / "whole" / "iter_5.pth"))


def test_best_is_kept_while_the_next_best_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    made = config(work, steps=5, interval=5, save_best="score", rule="greater")

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    fails = At(2, lambda: monkeypatch.setattr("aligndet.common.files.os.replace", refuse))
    with pytest.raises(NotSavedError, match="No space left on device"):
        runner(with_validation(made), fails).train()
    assert checkpoints(work) == ["best_score_iter_1.pth"]


def test_a_copied_folder_leaves_the_first_ones_best(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    options: dict[str, Any] = {"interval": 1, "save_best": "score", "rule": "greater"}
    runner(with_validation(config(one, steps=2, **options))).train()
    assert "best_score_iter_2.pth" in checkpoints(one)
    shutil.copytree(one, two)
    again = runner(with_validation(config(two, steps=5, **options)), goes_on=True)
    again.train()
    assert "best_score_iter_2.pth" in checkpoints(one)
    assert len([name for name in checkpoints(two) if "best" in name]) == 1
    assert "best_score_iter_2.pth" not in checkpoints(two)


@pytest.mark.parametrize("case", ["damaged", "all damaged", "moved", "an earlier run's"])
def test_what_a_run_finds_when_it_goes_on(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends as a run without a break, whatever happened to the folder meanwhile."""
    work = tmp_path / "work"
    runner(config(work, steps=3, interval=1)).train()
    if case == "moved":
        (tmp_path / "elsewhere").mkdir()
        work = work.rename(tmp_path / "elsewhere" / "work2")
        begins = 3
    elif case == "an earlier run's":
        made = config(work, steps=3, interval=1)
        with pytest.raises(ZeroDivisionError):
            runner(made, At(2, lambda: 1 / 0)).train()
        begins = 1
    else:
        for path in work.glob("*.pth") if case == "all damaged" else [work / "iter_3.pth"]:
            path.write_bytes(path.read_bytes()[:-50])
        begins = 0 if case == "all damaged" else 2
    seen: list[int] = []
    again = runner(config(work, steps=6, interval=1), goes_on=True)
    for step in range(1, 7):
        again.register_hook(At(step, lambda step=step: seen.append(step)))  # type: ignore[misc]
    capsys.readouterr()
    again.train()
    assert seen[0] == begins + 1
    err = capsys.readouterr().err
    assert err.count("is cut: its end is missing; ") == {"damaged": 1, "all damaged": 3}.get(case, 0)
    then = {"damaged": f"goes on from {work / 'iter_2.pth'}", "all damaged": "begins from the start"}
    assert then.get(case, "") in err
    runner(config(tmp_path / "whole", steps=6, interval=6)).train()
    assert same(weights(Path(work) / "iter_6.pth"), weights(tmp_path / "whole" / "iter_6.pth"))


def test_a_damaged_file_that_is_named_is_refused(tmp_path: Path) -> None:
    runner(config(tmp_path / "work", steps=1, interval=1)).train()
    path = tmp_path / "work" / "iter_1.pth"
    path.write_bytes(path.read_bytes()[:-50])
    made = config(tmp_path / "work", steps=2)
    made.resume, made.load_from = True, str(path)
    with pytest.raises(CheckpointError, match=r"iter_1\.pth"):
        runner(made).train()


def test_weights_to_start_from_count_where_there_is_no_checkpoint_yet(tmp_path: Path) -> None:
    """A job that is put into the queue again before its first checkpoint."""
    runner(config(tmp_path / "other", steps=1, interval=1)).train()
    made = config(tmp_path / "work", steps=1, interval=1)
    made.load_from = str(tmp_path / "other" / "iter_1.pth")
    again = runner(made, goes_on=True)
    again.load_or_resume()
    assert again.iter == 0
    loaded = weights(tmp_path / "other" / "iter_1.pth")
    assert all((value == loaded[key]).all() for key, value in again.model.state_dict().items())
