"""The newest readable checkpoint of a work dir: damaged, moved, copied, not to go on from."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from aligndet.common.checkpoints import CheckpointError
from aligndet.common.newest_checkpoint import (
    begin_anew,
    checkpoint_file,
    latest_checkpoint,
    newest_checkpoint,
)


def save(path: Path, step: int, note: bool = True, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"meta": {"iter": step, "epoch": 0}, "state_dict": {"a": torch.arange(9.0) + step}}
    torch.save(content | {"optimizer": {}} | more, path)
    if note:
        (path.parent / "last_checkpoint").write_text(str(path))
    return path


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 16
    path.write_bytes(data)


def test_without_one(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path).path is None
    with pytest.raises(CheckpointError, match=r"has no checkpoint that can be read: expected iter_N\.pth"):
        latest_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="there is no such folder"):
        latest_checkpoint(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        checkpoint_file(tmp_path / "nowhere.pth")


def test_the_noted_one_counts_then_the_latest_step_and_not_the_time(tmp_path: Path) -> None:
    """A copy has times of its own; 9 is later than 10 as a text."""
    new, old = save(tmp_path / "iter_10.pth", 10), save(tmp_path / "iter_9.pth", 9)
    os.utime(new, (1, 1))
    assert newest_checkpoint(tmp_path).path == checkpoint_file(tmp_path) == old
    (tmp_path / "last_checkpoint").unlink()
    assert newest_checkpoint(tmp_path).path == new
    assert checkpoint_file(old) == old


def test_checkpoints_of_an_earlier_run_in_the_folder_are_not_gone_on_from(tmp_path: Path) -> None:
    earlier = save(tmp_path / "iter_10.pth", 10)
    begin_anew(tmp_path)
    assert newest_checkpoint(tmp_path).path is None
    own = save(tmp_path / "iter_2.pth", 2)
    own.write_bytes(b"")
    assert newest_checkpoint(tmp_path).path is None
    begin_anew(tmp_path, but=earlier)
    assert newest_checkpoint(tmp_path).path == earlier
    begin_anew(tmp_path)
    assert save(earlier, 10) == newest_checkpoint(tmp_path).path  # written again


def test_a_note_that_is_cut_or_gone(tmp_path: Path) -> None:
    path = save(tmp_path / "iter_10.pth", 10)
    for text in ("", "\n", "\0\0", "/elsewhere/iter_10.pth", "iter_11.pth", "x" * 5000):
        (tmp_path / "last_checkpoint").write_text(text)
        assert newest_checkpoint(tmp_path).path == path
    (tmp_path / "last_checkpoint").unlink()
    assert newest_checkpoint(tmp_path).path == path


def test_a_copied_folder_goes_on_from_its_own(tmp_path: Path) -> None:
    save(tmp_path / "a" / "iter_10.pth", 10)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert newest_checkpoint(tmp_path / "b").path == tmp_path / "b" / "iter_10.pth"
    assert not newest_checkpoint(tmp_path / "b").passed_over


def test_checkpoints_in_another_folder_are_found_by_the_note(tmp_path: Path) -> None:
    """CheckpointHook(out_dir=...); where the noted one is damaged, the one beside it is taken."""
    old = save(tmp_path / "out" / "iter_1.pth", 1)
    new = save(tmp_path / "out" / "iter_2.pth", 2)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "last_checkpoint").write_text(str(new))
    assert newest_checkpoint(tmp_path / "work").path == new
    new.write_bytes(new.read_bytes()[:-100])
    assert newest_checkpoint(tmp_path / "work").path == old


def test_what_nothing_can_go_on_from(tmp_path: Path) -> None:
    path = save(tmp_path / "iter_2.pth", 2)
    for name in ("best_coco_bbox_mAP_iter_3.pth", "iter_3-0123abcd.pth", ".iter_3.pth.77.tmp"):
        save(tmp_path / name, 3, note=False)
    torch.save({"meta": {"iter": 5}, "state_dict": {}}, tmp_path / "weights.pth")
    torch.save({"a": torch.ones(1)}, tmp_path / "detector.pth")
    assert newest_checkpoint(tmp_path).path == path
    assert not newest_checkpoint(tmp_path).passed_over


TWELVE = torch.tensor([12.0]).numpy().tobytes()
DAMAGES = {
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-200]), "is cut: its end is missing"),
    "a tensor": (
        lambda path: flip(path, path.read_bytes().index(torch.tensor([12.0]).numpy().tobytes())),
        "check",
    ),
    "its directory": (lambda path: flip(path, path.read_bytes().rindex(b"PK\x01\x02")), "is damaged"),
    "its pickle": (
        lambda path: flip(path, path.read_bytes().index(b"state_dict")),
        "is damaged: the checksum",
    ),
    "its first bytes": (lambda path: flip(path, 0), "not a torch checkpoint"),
    "zeros": (lambda path: path.write_bytes(bytes(path.stat().st_size)), "not a torch checkpoint"),
    "another file": (lambda path: path.write_text("<html>"), "a web page"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_one_is_passed_over_and_named(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = save(tmp_path / "iter_8.pth", 8)
    new = save(tmp_path / "iter_9.pth", 9)
    damage, reason = DAMAGES[kind]
    damage(new)
    found = newest_checkpoint(tmp_path)
    assert found.path == old
    assert len(found.passed_over) == 1
    assert re.search(f"{re.escape(str(new))}.*{reason}", found.passed_over[0])
    assert latest_checkpoint(tmp_path) == old
    assert capsys.readouterr().err.endswith(f"; goes on from {old}\n")
    damage, _ = DAMAGES["cut"]
    damage(old)
    assert newest_checkpoint(tmp_path).path is None
    assert len(newest_checkpoint(tmp_path).passed_over) == 2


class Code:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("ran",)


def test_objects_run_no_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run's own is not passed over in silence, for it is whole; one that lies beside it is."""
    old = save(tmp_path / "iter_8.pth", 8)
    save(tmp_path / "other.pth", 9, note=False, code=Code())
    found = newest_checkpoint(tmp_path)
    assert found.path == old
    assert "--trust" in found.passed_over[0]
    save(tmp_path / "iter_9.pth", 9, code=Code())
    with pytest.raises(CheckpointError, match="--trust"):
        newest_checkpoint(tmp_path)
    assert "ran" not in capsys.readouterr().out


def test_an_old_file_of_torch_is_read(tmp_path: Path) -> None:
    torch.save(
        {"meta": {"iter": 4}, "state_dict": {"a": torch.ones(2)}, "optimizer": {}},
        tmp_path / "iter_4.pth",
        _use_new_zipfile_serialization=False,
    )
    assert newest_checkpoint(tmp_path).path == tmp_path / "iter_4.pth"
