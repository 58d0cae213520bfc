"""Whole runs: the file written, bad images, resuming, and any number of workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.proposals.filters import FilterOptions
from aligndet.proposals.formats import read_proposals
from aligndet.proposals.job import chunk_size
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.runner import make_proposals
from aligndet.proposals.store_writer import StoreWriter

TESTS = Path(__file__).parent
HERE = Path(__file__).stem


def fake_backend(log: str = "", delay: float = 0.0, shift: int = 0) -> Callable:
    """Boxes drawn from the image's own pixels; writes its process id to `log`; obeys blue pixel 0.

    Pixel (0, 0): blue 1 raises, blue 2 kills the process.
    """

    def search(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if log:
            with open(log, "a") as stream:
                stream.write(f"{os.getpid()}\n")
        time.sleep(delay)
        if image[0, 0, 0] == 1:
            raise RuntimeError("no luck")
        if image[0, 0, 0] == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        rng = np.random.default_rng(int(image.sum()))
        corner = rng.integers(0, 40, (50, 2))
        boxes = np.concatenate([corner, corner + rng.integers(33, 60, (50, 2)) + shift], axis=1)
        return boxes.astype(np.float32), rng.random(50)

    return search


def fake(filter_options: FilterOptions | None = None, **options: Any) -> ProposalOptions:
    return ProposalOptions(f"{HERE}:fake_backend", options, filter_options or FilterOptions())


def write_images(folder: Path, count: int = 10) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image = np.random.default_rng(number).integers(3, 255, (100, 120 + number, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number:03d}.png"), image)
    return folder


def run(source: Path, out: Path, options: ProposalOptions, **arguments: Any) -> dict[str, Any]:
    make_proposals(source, out, options, progress=False, **arguments)
    return json.loads(out.read_text())


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TESTS))


def test_output_is_a_coco_file(tmp_path: Path) -> None:
    source, out = write_images(tmp_path / "in"), tmp_path / "deep" / "out.json"
    content = run(source, out, fake(FilterOptions(max_per_image=4)))
    coco = pytest.importorskip("pycocotools.coco").COCO(str(out))
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == [
        f"{number:03d}.png" for number in range(10)
    ]
    assert content["categories"] == [{"id": 1, "name": "proposal"}]
    assert [a["id"] for a in content["annotations"]] == list(range(1, len(content["annotations"]) + 1))
    for image in content["images"]:
        assert (image["width"], image["height"]) == (120 + int(image["file_name"][:3]), 100)
        rows = coco.loadAnns(coco.getAnnIds(image["id"]))
        assert 1 <= len(rows) <= 4
        scores = [row["score"] for row in rows]
        assert scores == sorted(scores, reverse=True)
        for row in rows:
            x, y, w, h = row["bbox"]
            assert 0 <= x < x + w <= image["width"]
            assert 0 <= y < y + h <= image["height"]
            assert (row["area"], row["iscrowd"], row["category_id"]) == (w * h, 0, 1)
    assert content["info"]["filter"]["max_per_image"] == 4
    assert not list(out.parent.glob("*.parts"))
    assert not list(out.parent.glob("*.tmp"))


def test_ids_of_a_coco_json_are_kept(tmp_path: Path) -> None:
    write_images(tmp_path / "images", 2)
    rows = [{"id": 70, "file_name": "001.png"}, {"id": 5, "file_name": "000.png"}]
    (tmp_path / "set.json").write_text(json.dumps({"images": rows}))
    content = run(tmp_path / "set.json", tmp_path / "out.json", fake())
    assert [(i["id"], i["file_name"], i["width"]) for i in content["images"]] == [
        (70, "001.png", 121),
        (5, "000.png", 120),
    ]


def test_result_does_not_depend_on_workers_or_chunks(tmp_path: Path) -> None:
    source = write_images(tmp_path / "in")
    texts = set()
    for number, (workers, chunk) in enumerate([(0, 0), (2, 3), (3, 1)]):
        out = tmp_path / f"{number}.json"
        make_proposals(source, out, fake(), workers=workers, chunk=chunk, progress=False)
        texts.add(out.read_bytes())
    assert len(texts) == 1


def test_bad_images_are_skipped_counted_and_listed(tmp_path: Path) -> None:
    source = write_images(tmp_path / "in", 3)
    (source / "empty.jpg").write_bytes(b"")
    (source / "torn.png").write_bytes((source / "000.png").read_bytes()[:40])
    cv2.imwrite(str(source / "grey.png"), np.full((80, 90), 9, np.uint8))
    strange = np.full((80, 90, 3), 1, np.uint8)
    cv2.imwrite(str(source / "raises.png"), strange)
    report = make_proposals(source, tmp_path / "out.json", fake(), progress=False)
    content = json.loads((tmp_path / "out.json").read_text())
    reasons = {row["file_name"]: row["reason"] for row in content["info"]["skipped"]}
    assert reasons.keys() == {"empty.jpg", "torn.png", "raises.png"}
    assert "empty" in reasons["empty.jpg"]
    assert "RuntimeError: no luck" in reasons["raises.png"]
    assert [i["file_name"] for i in content["images"]] == ["000.png", "001.png", "002.png", "grey.png"]
    assert report.images == 4
    assert "3 images skipped" in str(report)
    assert "torn.png: OpenCV cannot decode it" in str(report)


def test_no_usable_image_at_all_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "set.json").write_text(json.dumps({"images": [{"id": 1, "file_name": "a.png"}]}))
    with pytest.raises(InputError, match=r"none of the 1 images in .* No such file"):
        run(tmp_path / "set.json", tmp_path / "out.json", fake(), image_root=tmp_path)
    assert not (tmp_path / "out.json").exists()


def test_an_image_that_kills_its_process_is_skipped(tmp_path: Path) -> None:
    source = write_images(tmp_path / "in", 4)
    deadly = np.full((80, 90, 3), 2, np.uint8)
    cv2.imwrite(str(source / "002b.png"), deadly)
    content = run(source, tmp_path / "out.json", fake(), workers=2, chunk=3)
    assert [row["file_name"] for row in content["info"]["skipped"]] == ["002b.png"]
    assert "process died" in content["info"]["skipped"][0]["reason"]
    assert len(content["images"]) == 4


def test_images_without_boxes_stay_in_the_list(tmp_path: Path) -> None:
    source = write_images(tmp_path / "in", 2)
    rule = FilterOptions(min_ratio=90, max_ratio=100, fallback=False)
    report = make_proposals(source, tmp_path / "out.json", fake(rule), progress=False)
    assert (report.images, report.boxes, report.without_boxes) == (2, 0, 2)
    assert "2 images have no proposal" in str(report)


def files_of(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.iterdir()}


def test_a_store_and_a_json_hold_the_same(tmp_path: Path) -> None:
    source = write_images(tmp_path / "in", 6)
    (source / "empty.jpg").write_bytes(b"")
    run(source, tmp_path / "out.json", fake())
    report = make_proposals(source, tmp_path / "out", fake(), progress=False)
    store, other = read_proposals(tmp_path / "out"), read_proposals(tmp_path / "out.json")
    assert (report.images, report.skips, report.boxes) == (6, 1, store.num_boxes)
    assert len(store) == len(other) == 6
    for image in range(6):
        assert store.file_name(image) == other.file_name(image)
        assert store.size(image) == other.size(image)
        np.testing.assert_array_equal(store.boxes(image), other.boxes(image))
    np.testing.assert_allclose(store.columns["scores"], other.columns["scores"], atol=1e-5)
    assert store.image_ids.tolist() == other.image_ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert (
        list(store.skipped())
        == list(other.skipped())
        == [{"file_name": "empty.jpg", "reason": "file is empty"}]
    )
    assert store.info["backend"] == f"{HERE}:fake_backend"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", "out.json"]


def test_bytes_do_not_depend_on_workers_chunks_or_shards(tmp_path: Path) -> None:
    source = write_images(tmp_path / "in", 9)
    make_proposals(source, tmp_path / "one", fake(), progress=False)
    make_proposals(source, tmp_path / "two", fake(), progress=False, workers=2, chunk=2)
    for first in (2, 0, 1):
        assert not (tmp_path / "three").exists()
        report = make_proposals(source, tmp_path / "three", fake(), progress=False, chunk=2, shard=(first, 3))
        assert report.searched == [4, 3, 2][first]
        assert f"shard {first}/3: done ({report.searched} images searched now)" in str(report)
    report = make_proposals(source, tmp_path / "three", fake(), progress=False, chunk=2)
    assert report.searched == 0
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two") == files_of(tmp_path / "three")


def test_a_shard_out_of_range_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="shard 3/3"):
        make_proposals(write_images(tmp_path / "in", 1), tmp_path / "out", fake(), shard=(3, 3))


def test_no_work_is_done_when_the_output_cannot_be_written(tmp_path: Path) -> None:
    source, log = write_images(tmp_path / "in", 1), tmp_path / "log"
    with pytest.raises(InputError, match="no proposal store"):
        make_proposals(source, source, fake(log=str(log)), progress=False)
    assert not log.exists()


def test_levels_become_a_column_and_follow_the_filter(tmp_path: Path) -> None:
    source = write_images(tmp_path / "in", 2)
    options = ProposalOptions("grid", {"levels": 2}, FilterOptions(min_side=0, max_per_image=20))
    make_proposals(source, tmp_path / "out", options, progress=False)
    store = read_proposals(tmp_path / "out")
    boxes, levels = store.columns["boxes"], store.columns["levels"]
    areas = np.repeat(store.sizes.prod(axis=1), store.counts)
    np.testing.assert_allclose(0.25**levels, (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) / areas, rtol=0.05)
    assert set(levels.tolist()) == {1, 2}


def test_a_damaged_part_is_searched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = write_images(tmp_path / "in", 6), tmp_path / "out"
    interrupted(source, out, fake(), monkeypatch)
    parts = sorted(out.with_name("out.parts").iterdir())
    parts[0].write_bytes(parts[0].read_bytes()[:100])
    make_proposals(source, out, fake(), progress=False)
    make_proposals(source, tmp_path / "fresh", fake(), progress=False)
    assert files_of(out) == files_of(tmp_path / "fresh")


def test_chunks_are_many_for_few_images_and_few_for_many() -> None:
    assert [chunk_size(n) for n in (1, 5000, 20_000, 118_000, 10_000_000)] == [4, 4, 9, 57, 64]


def test_without_a_filter_boxes_stay_as_they_come(tmp_path: Path) -> None:
    source = write_images(tmp_path / "in", 1)
    boxes = np.array([[5, 5, 6, 6], [0, 0, 100, 90], [1, 0, 100, 90], [50, 50, 50, 60], [60, 60, 300, 70]])
    with StoreWriter(tmp_path / "given") as writer:
        writer.append("000.png", 1, (120, 100), boxes)
    options = ProposalOptions("file", {"path": str(tmp_path / "given")}, filter=None, max_side=20)
    make_proposals(source, tmp_path / "out", options, progress=False)
    kept = [[5, 5, 6, 6], [0, 0, 100, 90], [1, 0, 100, 90], [60, 60, 120, 70]]  # in order, cut at the border
    assert read_proposals(tmp_path / "out").boxes(0).tolist() == kept


def start_slow_run(source: Path, out: Path, log: Path, workers: int = 1) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "aligndet", "proposals", "make", str(source), str(out)]
    command += ["--backend", f"{HERE}:fake_backend"]
    command += ["--backend-options", f"log={log}", "delay=0.1", "--chunk", "2", "--workers", str(workers)]
    paths = os.pathsep.join([str(TESTS.parents[1]), str(TESTS)])
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, stderr=subprocess.DEVNULL)


def wait_for_parts(out: Path, count: int) -> set[Path]:
    deadline = time.monotonic() + 60
    folder = out.with_name(f"{out.name}.parts")
    while time.monotonic() < deadline:
        parts = set(folder.glob("*.part")) if folder.exists() else set()
        if len(parts) >= count:
            return parts
        time.sleep(0.02)
    raise AssertionError("the run wrote no parts")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_goes_on_and_its_store_is_the_same_to_the_byte(tmp_path: Path, workers: int) -> None:
    source, out, log = write_images(tmp_path / "in", 16), tmp_path / "out", tmp_path / "log"
    process = start_slow_run(source, out, log, workers)
    wait_for_parts(out, 2)
    process.kill()
    process.wait()
    time.sleep(0.3)  # its workers die with it
    assert not out.exists()
    finished = 2 * len(wait_for_parts(out, 2))
    assert 4 <= finished < 16
    (out.with_name("out.parts") / "store.1.tmp").mkdir()  # as if killed while putting the parts together
    log.write_text("")
    options = fake(log=str(log), delay=0.1)
    make_proposals(source, out, options, chunk=2, progress=False)
    assert len(log.read_text().splitlines()) == 16 - finished
    make_proposals(source, tmp_path / "fresh", options, progress=False)
    assert files_of(out) == files_of(tmp_path / "fresh")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "in", "log", "out"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_workers_die_with_a_killed_parent(tmp_path: Path) -> None:
    source, out, log = write_images(tmp_path / "in", 40), tmp_path / "out.json", tmp_path / "log"
    process = start_slow_run(source, out, log, workers=2)
    workers: set[int] = set()
    deadline = time.monotonic() + 60
    while len(workers) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
        workers = {int(line) for line in log.read_text().split()} if log.exists() else set()
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(workers) == 2
    assert not any(map(alive, workers))


def alive(process: int) -> bool:
    """Whether the process runs (one that ended but was not waited for does not)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    except OSError:
        return False


def interrupted(source: Path, out: Path, options: ProposalOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do all the work, then fail at the very end, so that all parts stay."""
    with monkeypatch.context() as patch:
        patch.setattr("aligndet.proposals.runner.assemble", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make_proposals(source, out, options, progress=False)


def test_parts_of_other_options_or_changed_images_are_not_reused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out, log = write_images(tmp_path / "in", 4), tmp_path / "out.json", tmp_path / "log"
    base = fake(log=str(log))

    def searched(options: ProposalOptions) -> int:
        log.write_text("")
        interrupted(source, out, options, monkeypatch)
        return len(log.read_text().splitlines())

    assert searched(base) == 4
    assert searched(base) == 0
    assert searched(replace(base, filter=FilterOptions(min_side=40))) == 4
    assert searched(fake(log=str(log), shift=1)) == 4
    assert searched(replace(base, max_side=50)) == 4
    cv2.imwrite(str(source / "001.png"), np.full((90, 90, 3), 77, np.uint8))
    assert searched(base) == 4


def test_max_side_searches_a_copy_and_brings_boxes_back(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    cv2.imwrite(str(source / "big.png"), np.full((400, 800, 3), 50, np.uint8))
    options = replace(fake(FilterOptions(min_side=0, iou=1.0, max_per_image=0)), max_side=100)
    content = run(source, tmp_path / "out.json", options)
    sides = np.array([row["bbox"] for row in content["annotations"]])
    assert content["images"][0]["width"] == 800
    assert sides[:, 2].min() >= 33 * 8  # the fake finds boxes of 33 to 59 px in its 50 x 100 copy
    assert (sides[:, 2] % 8 == 0).all()


def test_wrong_backend_is_an_error_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown proposal backend"):
        make_proposals(tmp_path, tmp_path / "out.json", ProposalOptions("magic"))
    with pytest.raises(InputError, match="no option speed"):
        make_proposals(tmp_path, tmp_path / "out.json", fake(speed=3))
