"""Files are replaced whole or not at all, and equal content has equal bytes."""

from pathlib import Path

import pytest
import torch

from aligndet.common.checkpoints import write_checkpoint
from aligndet.common.files import content_hash, write_bytes, write_json, write_text


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "old ü")
    assert path.read_bytes() == "old ü".encode()

    def full(descriptor: int) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", full)
        with pytest.raises(OSError, match="no space"):
            write_bytes(path, b"new")
    assert path.read_text(encoding="utf-8") == "old ü"
    write_json(path, [1])
    assert path.read_text() == "[1]"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_the_same_checkpoint_has_the_same_bytes_under_any_name(tmp_path: Path) -> None:
    state = {"weight": torch.arange(6.0)}
    for name in ("one.pth", "other.pth"):
        write_checkpoint(tmp_path / name, state, {"by": "test"})
    assert content_hash(tmp_path / "one.pth") == content_hash(tmp_path / "other.pth")
    assert torch.equal(torch.load(tmp_path / "one.pth")["state_dict"]["weight"], state["weight"])
