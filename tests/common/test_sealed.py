"""Arrays come back as they were, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aligndet.common.sealed import read_sealed, write_sealed


def test_arrays_come_back_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "x"
    assert read_sealed(file) is None
    write_sealed(file, {"a": np.arange(5), "b": "text"})
    found = read_sealed(file)
    assert found is not None
    assert (found["a"].tolist(), str(found["b"])) == ([0, 1, 2, 3, 4], "text")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    whole = file.read_bytes()
    damaged = [whole[:-40], whole[:20], b"", whole + b"x"]
    for place in range(len(whole)):  # a zip has bytes that no checksum of it covers
        damaged.append(whole[:place] + bytes([whole[place] ^ 8]) + whole[place + 1 :])
    for data in damaged:
        file.write_bytes(data)
        assert read_sealed(file) is None
