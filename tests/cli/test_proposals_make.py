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
    assert f"truth.json on {images}: 1 images, all there" in printed


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


def test_a_pattern_names_images(
    tool: Callable[..., int], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pattern that the shell did not fill in is filled in; one that fits nothing is refused at once."""
    words = ["--backend", "grid", "--workers", "0"]
    assert tool(tmp_path / "i*" / "**" / "*.png", tmp_path / "store", *words) == 0
    assert ProposalStore.open(tmp_path / "store").file_name(0) == "in/a.png"
    assert tool(images / "*.jpg", tmp_path / "other", *words) == 2
    assert "*.jpg: no file of this pattern" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_what_is_odd_about_images_is_told_with_its_count(
    tool: Callable[..., int], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twelve bits in sixteen, copies, other kinds: a line each, and none for a sound folder."""
    words = ["--backend", "grid", "--workers", "0"]
    assert tool(images, tmp_path / "sound", *words) == 0
    assert "note:" not in capsys.readouterr().out
    for name in ("copy.png", "second.png"):
        (images / name).write_bytes((images / "a.png").read_bytes())
    ramp = np.tile(np.arange(4096, dtype=np.uint16), (40, 1))
    for name in ("dark1.png", "dark2.png"):
        cv2.imwrite(str(images / name), ramp)
    (images / "phone.heic").write_bytes(b"x")
    assert tool(images, tmp_path / "odd", *words) == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert notes == [
        "note: 1 files of other kinds left out: .heic 1; convert them to .jpg or .png to use them",
        "note: 2 images such as dark1.png: 16-bit image with values from 0 to 4095, of which training sees "
        "16 grey levels of 256: stretch such images to 8 bits first",
        "note: 3 images are copies of others, byte by byte, such as copy.png of a.png",
    ]
    assert [ProposalStore.open(tmp_path / "odd").stamp(image) for image in (0, 1)] != [0, 0]


def test_a_name_that_is_no_text_is_printed_and_kept(
    tool: Callable[..., int], images: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    name = os.fsdecode(b"Mu\xf1oz.jpg")
    (images / name).write_bytes(b"no image")
    assert tool(images, tmp_path / "out.json", "--backend", "grid", "--workers", "0", "--quiet") == 0
    skipped = json.loads((tmp_path / "out.json").read_text())["info"]["skipped"]
    assert skipped == [{"file_name": name, "reason": "OpenCV cannot decode it"}]
