"""``aligndet proposals verify`` and the mending by ``proposals make``, as a person sees them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.command import command


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / "in" / f"{number}.png"), np.full((60, 80, 3), 9 * number, np.uint8))
    return tmp_path / "in"


def test_a_damaged_store_is_named_and_mended(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "s"
    make, verify = command("proposals make"), command("proposals verify")
    words = [images, store, "--backend", "grid", "--workers", 0]
    assert make(words) == 0
    assert verify([store]) == 0
    assert f"{store}: ok, " in capsys.readouterr().out
    data = (store / "boxes.npy").read_bytes()
    (store / "boxes.npy").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert verify([store, "--json", tmp_path / "v.json"]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert (
        "boxes.npy (changed since it was written); it touches 3 of 3 images (0.png, 1.png, 2.png)" in said.err
    )
    assert "aligndet proposals make" in said.err
    found = json.loads((tmp_path / "v.json").read_text())
    assert (found["files"], found["images"]) == ({"boxes.npy": "changed since it was written"}, 3)
    assert make(words) == 0
    assert "mended: 3 images searched again; all is as it was first, to the byte" in capsys.readouterr().out
    assert (store / "boxes.npy").read_bytes() == data
    assert verify([store]) == 0
