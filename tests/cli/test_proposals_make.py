"""``aligndet proposals make``: every option arrives, and mistakes end in one clear line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.cli.main import main, parser_of
from aligndet.cli.options import BACKENDS
from aligndet.cli.proposals_make import proposal_options
from aligndet.proposals.backends import backend_names
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.store import ProposalStore

HERE = Path(__file__)


def fake_backend(count: int = 6) -> Callable:
    boxes = np.array([[5 * i, 0, 5 * i + 40, 40] for i in range(count)], dtype=np.float32)
    return lambda image: (boxes, None)


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.syspath_prepend(str(HERE.parent))
    return lambda *arguments: main(["proposals", "make", *map(str, arguments)])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "a.png"), np.full((60, 100, 3), 7, np.uint8))
    return tmp_path / "in"


def test_every_option_arrives(tool: Callable[..., int], images: Path, tmp_path: Path) -> None:
    given = {
        "min_ratio": 0.25,
        "max_ratio": 4.0,
        "min_size": 0.1,
        "max_size": 0.9,
        "min_side": 8.0,
        "iou": 0.7,
        "max_per_image": 3,
        "rank": "large",
        "seed": 5,
        "fallback": False,
    }
    flags: list[object] = []
    for key, value in given.items():
        flag = key.replace("_", "-")
        flags += [f"--no-{flag}"] if value is False else [f"--{flag}", value]
    out = tmp_path / "out.json"
    backend = f"{HERE.stem}:fake_backend"
    options = ["--backend", backend, "--backend-options", "count=5", "--max-side", 90, "--workers", 1]
    assert tool(images, out, *options, *flags) == 0
    info = json.loads(out.read_text())["info"]
    assert info["filter"] == given
    assert (info["backend"], info["backend_options"], info["max_side"]) == (backend, {"count": 5}, 90)


def test_recall_is_printed(
    tool: Callable[..., int], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [
            {"image_id": 1, "bbox": [0, 0, 38, 40]},
            {"image_id": 1, "bbox": [60, 45, 10, 10]},
            {"image_id": 1, "bbox": [0, 0, 100, 60], "iscrowd": 1},
        ],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    backend = f"{HERE.stem}:fake_backend"
    arguments = ["--backend", backend, "--iou", 1, "--val", tmp_path / "truth.json"]
    assert tool(images, tmp_path / "out.json", *arguments) == 0
    printed = capsys.readouterr().out
    assert "6 proposals in 1 images (6.0 per image)" in printed
    assert "0.500 (1 images)" in printed


def test_a_store_is_written_by_shards_and_then_put_together(
    tool: Callable[..., int], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, backend = tmp_path / "out", ["--backend", f"{HERE.stem}:fake_backend", "--workers", 0, "--no-filter"]
    for shard in ("0/2", "1/2"):
        assert tool(images, out, *backend, "--shard", shard) == 0
    assert "shard 1/2: done (0 images searched now)" in capsys.readouterr().out
    assert tool(images, out, *backend) == 0
    store = ProposalStore.open(out)
    assert store.boxes(0)[:, 0].tolist() == [0, 5, 10, 15, 20, 25]  # none suppressed, in the backend's order
    assert store.info["filter"] is None
    assert f"{out}: 6 proposals in 1 images" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["2/2", "x/2", "1", "-1/2", "1/0"])
def test_a_wrong_shard_is_refused(
    tool: Callable[..., int], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert tool(images, tmp_path / "out", f"--shard={text}") == 2
    assert "expected I/N with 0 <= I < N" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "magic"], "unknown proposal backend 'magic'"),
        (["--backend-options", "speed=3"], "backend option 'speed=3'"),
        (["--iou", 3], "iou=3"),
        (["--images", "nowhere"], "nowhere: no such folder"),
        (["--backend", "file"], "path=FILE"),
        (["--engine", "dask"], "--scheduler tcp://HOST:PORT"),
    ],
)
def test_mistakes_end_in_one_line(
    arguments: list[object],
    message: str,
    tool: Callable[..., int],
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tool(images, tmp_path / "out.json", *arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "out.json").exists()


def test_a_finished_store_is_not_made_again(
    tool: Callable[..., int], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words: list[object] = [tmp_path / "out", "--backend", f"{HERE.stem}:fake_backend", "--workers", 0]
    assert tool(images, *words, "--json", tmp_path / "result.json") == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["images"], result["searched"]) == (1, 1)
    written = (tmp_path / "out" / "store.json").stat().st_mtime_ns
    capsys.readouterr()

    assert tool(images, *words) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert (tmp_path / "out" / "store.json").stat().st_mtime_ns == written

    cv2.imwrite(str(images / "b.png"), np.full((60, 100, 3), 9, np.uint8))
    assert tool(images, *words) == 2
    assert "of other images (1 new, 0 gone); give another name, or --overwrite" in capsys.readouterr().err
    assert tool(images, *words, "--overwrite", "--iou", 1) == 0
    assert len(ProposalStore.open(tmp_path / "out")) == 2
    assert tool(images, *words) == 2
    assert "made with other options (filter)" in capsys.readouterr().err


def test_an_image_written_after_the_store_counts(
    tool: Callable[..., int], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words: list[object] = [tmp_path / "out.json", "--backend", f"{HERE.stem}:fake_backend", "--workers", 0]
    assert tool(images, *words) == 0
    later = (tmp_path / "out.json").stat().st_mtime + 10
    os.utime(images / "a.png", (later, later))
    assert tool(images, *words) == 2
    assert "older than 1 of its images" in capsys.readouterr().err


def test_defaults_are_those_of_the_library() -> None:
    args = parser_of("proposals make").parse_args([str(HERE), "out"])
    assert proposal_options(args) == ProposalOptions()
    assert sorted(BACKENDS) == backend_names()
