"""The name of a part changes with all that its content depends on."""

import os
from pathlib import Path

import numpy as np

from aligndet.common.image_table import ImageEntry
from aligndet.proposals.parts import part_name, read_part, write_part
from aligndet.proposals.result import ImageProposals

CHUNK = [ImageEntry(1, "a.jpg")]


def name(root: Path, content: bytes = b"1234", seconds: int = 1000, key: str = "key") -> str:
    (root / "a.jpg").write_bytes(content)
    os.utime(root / "a.jpg", (seconds, seconds))
    return part_name(CHUNK, root, key)


def test_a_part_is_named_by_key_names_sizes_and_times(tmp_path: Path) -> None:
    first = name(tmp_path)
    assert name(tmp_path) == first
    others = {
        "another time": name(tmp_path, seconds=1001),
        "another size": name(tmp_path, content=b"12345"),
        "other options": name(tmp_path, key="other"),
        "another image": part_name([ImageEntry(1, "b.jpg")], tmp_path, "key"),
    }
    assert first not in others.values()
    assert len(set(others.values())) == len(others)


def test_an_image_that_is_replaced_by_one_of_equal_size_is_searched_again(tmp_path: Path) -> None:
    before = name(tmp_path, b"old!")
    assert name(tmp_path, b"new!", seconds=2000) != before


def test_a_part_is_whole_or_not_there(tmp_path: Path) -> None:
    row = ImageProposals(10, 20, np.ones((2, 4), np.float32))
    write_part(tmp_path / "p.part", [row])
    assert [path.name for path in tmp_path.iterdir()] == ["p.part"]
    read = read_part(tmp_path / "p.part")
    assert read is not None
    assert (read[0].width, read[0].boxes.tolist()) == (10, row.boxes.tolist())
    whole = (tmp_path / "p.part").read_bytes()
    for damaged in (whole[:-40], whole[:20], b"", whole + b"x"):
        (tmp_path / "p.part").write_bytes(damaged)
        assert read_part(tmp_path / "p.part") is None
    for place in range(len(whole)):  # a zip has bytes that no checksum of it covers
        (tmp_path / "p.part").write_bytes(whole[:place] + bytes([whole[place] ^ 8]) + whole[place + 1 :])
        assert read_part(tmp_path / "p.part") is None, place
