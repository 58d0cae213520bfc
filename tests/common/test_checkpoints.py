"""Checkpoint files: reading, and what is no checkpoint."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from aligndet.common.checkpoints import (
    CheckpointError,
    read_checkpoint,
    read_meta,
    trusting,
    write_safetensors,
)


def test_mmengines_history_is_read_without_trust(tmp_path: Path) -> None:
    history = HistoryBuffer()
    history.update(1.5)
    content = {"meta": {"iter": 3}, "state_dict": {"a": torch.ones(2)}, "message_hub": {"log": history}}
    torch.save({**content, "scheduler": Counter("aab")}, tmp_path / "a.pth")
    assert torch.equal(read_checkpoint(tmp_path / "a.pth")["state_dict"]["a"], torch.ones(2))
    assert read_meta(tmp_path / "a.pth") == {"iter": 3}


class Code:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("ran",)


def test_code_runs_only_where_it_is_trusted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": {"a": torch.ones(2)}, "x": Code()}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"holds Python objects \(.*print\).* give --trust"):
        read_checkpoint(tmp_path / "a.pth")
    assert capsys.readouterr().out == ""
    with trusting():
        read_checkpoint(tmp_path / "a.pth")
    assert capsys.readouterr().out == "ran\n"
    with pytest.raises(CheckpointError), trusting(False):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.pth", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 600, "a PNG image"),
        ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(range(256)) * 600, "a JPEG image"),
        ("a.pth", b"hello\n", "another kind of file"),
        ("a.pth", b"", "empty"),
        ("a.pth", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        ("a.pth", b"<!doctype html>", "a web page"),
        ("a.safetensors", b"nothing", "not a safetensors file"),
    ],
)
def test_what_is_no_checkpoint_is_said_in_a_short_line(
    tmp_path: Path, name: str, content: bytes, kind: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(tmp_path / name)
    said = str(caught.value).removeprefix(f"{tmp_path}/{name}: ")
    assert kind in said
    assert len(said) < 130
    assert said.isprintable()


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    assert list(read_checkpoint(tmp_path / "a.safetensors")["state_dict"]) == ["a"]


def test_safetensors_keep_the_meta(tmp_path: Path) -> None:
    meta = {"source": "x", "normalisation": {"mean": [1.5], "std": [1.0], "channel_order": "rgb"}}
    write_safetensors(tmp_path / "a.safetensors", {"a": torch.ones(2)}, meta)
    assert read_meta(tmp_path / "a.safetensors") == {"format": "pt", **meta}
