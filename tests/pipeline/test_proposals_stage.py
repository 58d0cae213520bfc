"""The stage of proposals: a store that was damaged is mended, not made anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.common.images.bad import TooManyBadError
from aligndet.pipeline.stages.proposals import ProposalsRequest, run
from aligndet.proposals import blocks

HERE = Path(__file__)


def noting_backend(log: str = "") -> Callable:
    """Five boxes; writes a line for each image that it searches."""

    def search(image: np.ndarray) -> tuple[np.ndarray, None]:
        with open(log, "a") as stream:
            stream.write(f"{os.getpid()}\n")
        return np.array([[5 * place, 0, 5 * place + 40, 40] for place in range(5)], np.float32), None

    return search


def test_only_damaged_images_are_searched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE.parent))
    monkeypatch.setattr(blocks, "BLOCK", 256)
    (tmp_path / "in").mkdir()
    for number in range(12):
        cv2.imwrite(str(tmp_path / "in" / f"{number:02d}.png"), np.full((60, 80, 3), 9 * number, np.uint8))
    log, store = tmp_path / "log", tmp_path / "s"
    options = {"log": str(log)}
    request = ProposalsRequest(
        str(tmp_path / "in"), str(store), f"{HERE.stem}:noting_backend", options, workers=1, max_per_image=5
    )
    monkeypatch.setenv("PYTHONPATH", str(HERE.parent))
    made = run(request)
    before = {path.name: path.read_bytes() for path in store.iterdir()}
    searched = len(log.read_text().splitlines())
    assert (made.images, searched) == (12, 12)
    (store / "boxes.npy").write_bytes(before["boxes.npy"][:-1] + b"\7")
    log.write_text("")
    assert run(request) == made
    assert 1 <= len(log.read_text().splitlines()) < 12
    assert {path.name: path.read_bytes() for path in store.iterdir()} == before


def test_bad_images_are_named_in_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((60, 80, 3), 9 * number, np.uint8))
    (tmp_path / "2.png").write_bytes(b"")
    request = ProposalsRequest(str(tmp_path), str(tmp_path / "s"), "grid", workers=1)
    made = run(request)
    assert (made.images, made.skips) == (3, 1)
    assert made.warnings[-1] == "2.png: file is empty; it is skipped"
    monkeypatch.setenv("ALIGNDET_MAX_BAD", "0")
    with pytest.raises(TooManyBadError, match="1 of 4 images are bad, more than 0 %"):
        run(ProposalsRequest(str(tmp_path), str(tmp_path / "t"), "grid", workers=1))
