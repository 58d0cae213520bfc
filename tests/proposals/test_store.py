"""The proposal store: what goes in comes out, by row and by name, in every process."""

from __future__ import annotations

import copy
import pickle
import resource
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aligndet.common import image_table
from aligndet.common.errors import InputError
from aligndet.proposals import column_file
from aligndet.proposals.layout import COLUMNS, META, OPTIONAL
from aligndet.proposals.store import ProposalStore, is_store
from aligndet.proposals.store_writer import StoreWriter

NAMES = ["b/1.jpg", "a.jpg", "ü/雪.png", "weird\udcff.jpg", "empty.png"]


def boxes(count: int, seed: int = 0) -> np.ndarray:
    corners = np.random.default_rng(seed).uniform(0, 50, (count, 2)).astype(np.float32)
    return np.concatenate([corners, corners + 10], axis=1)


def write(out: Path, names: list[str] = NAMES, first_id: int = 70, **optional: Any) -> ProposalStore:
    """Image i has 3 - i boxes or none; the optional columns get values only where `optional` names them."""
    with StoreWriter(out, {"backend": "test"}) as writer:
        for number, name in enumerate(names):
            found = boxes(max(0, 3 - number), number)
            stamp = number if optional.get("stamp", number + 1) <= number else 0
            values = {
                key: (number + np.arange(len(found))) for key in OPTIONAL if number >= optional.get(key, 9)
            }
            writer.append(name, first_id + number, (100 + number, 60), found, stamp, **values)
        writer.skip("bad.jpg", "file is empty")
    return ProposalStore.open(out)


def test_everything_comes_back(tmp_path: Path) -> None:
    store = write(tmp_path / "s", scores=0)
    assert (len(store), store.num_boxes, store.num_clusters) == (5, 6, 0)
    assert store.counts.tolist() == [3, 2, 1, 0, 0]
    for number, name in enumerate(NAMES):
        assert store.file_name(number) == name
        assert store.size(number) == (100 + number, 60)
        assert store.image_ids[number] == 70 + number
        np.testing.assert_array_equal(store.boxes(number), boxes(max(0, 3 - number), number))
        scores = store.column("scores", number)
        assert scores is not None
        assert scores.tolist() == [number + i for i in range(max(0, 3 - number))]
    assert store.column("levels", 0) is None
    assert store.info == {"backend": "test"}
    assert list(store.skipped()) == [{"file_name": "bad.jpg", "reason": "file is empty"}]
    np.testing.assert_array_equal(store.boxes(-3), store.boxes(2))
    with pytest.raises(IndexError, match="image 5 of 5"):
        store.boxes(5)


def test_columns_are_plain_numpy_files_of_the_documented_type(tmp_path: Path) -> None:
    write(tmp_path / "s", scores=0, levels=0, clusters=0, stamp=2)
    for name, column in COLUMNS.items():
        array = np.load(tmp_path / "s" / f"{name}.npy", mmap_mode="r")
        assert array.dtype == np.dtype(column.dtype), name
        assert array.shape[1:] == column.row, name


def test_hashes_of_the_files_are_kept_where_they_are_known(tmp_path: Path) -> None:
    """Merged with a store without hashes, the images of that one have none, and the others keep theirs."""
    store = write(tmp_path / "s", stamp=2)
    assert [store.stamp(image) for image in range(5)] == [0, 0, 2, 3, 4]
    assert [write(tmp_path / "none").stamp(image) for image in range(5)] == [0] * 5
    with StoreWriter(tmp_path / "both") as writer:
        writer.append("first.jpg", 1, (10, 10), boxes(1))
        writer.extend(store)
    both = ProposalStore.open(tmp_path / "both")
    assert [both.stamp(image) for image in range(6)] == [0, 0, 0, 2, 3, 4]
    both.verify()


def test_an_image_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = write(tmp_path / "s")
    assert [store.find(name) for name in NAMES] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match=r"no image is called 1\.jpg"):
        store.find("1.jpg")
    for module in ("store", "store_writer"):  # all names clash
        monkeypatch.setattr(f"aligndet.proposals.{module}.name_hash", lambda name: 7)
    clashing = write(tmp_path / "clashing")
    assert [clashing.find(name) for name in NAMES] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError):
        clashing.find("c.jpg")


def test_the_hash_of_a_name_never_changes() -> None:
    assert image_table.name_hash(b"a/b.jpg") == 12595617411906399591


def test_an_optional_column_may_begin_late_and_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = write(tmp_path / "s", scores=1, clusters=2)
    scores, clusters = store.columns["scores"], store.columns["clusters"]
    np.testing.assert_array_equal(scores, [np.nan] * 3 + [1, 2] + [2])
    assert clusters.tolist() == [-1] * 5 + [2]
    assert store.num_clusters == 3


def test_the_bytes_depend_on_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "one", scores=0)
    write(tmp_path / "two", scores=0)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "two").iterdir())
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_opening_maps_and_a_process_gets_only_the_path(tmp_path: Path) -> None:
    store = write(tmp_path / "s")
    mapped = np.load(tmp_path / "s" / "boxes.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    base: Any = store.columns["boxes"]
    while not isinstance(base, np.memmap) and base is not None:
        base = base.base
    assert isinstance(base, np.memmap)
    assert len(pickle.dumps(store)) < 500
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(store)).boxes(0), store.boxes(0))
    assert copy.deepcopy(store) is store
    with pytest.raises(ValueError, match="read-only"):
        store.boxes(0)[0, 0] = 1


def test_a_store_without_boxes_or_images_opens(tmp_path: Path) -> None:
    assert write(tmp_path / "a", ["x", "y"][:0]).counts.tolist() == []
    with StoreWriter(tmp_path / "b") as writer:
        writer.append("x.png", 1, (5, 5), np.zeros((0, 4)), scores=np.zeros(0))
    assert ProposalStore.open(tmp_path / "b").boxes(0).shape == (0, 4)


def test_a_failed_run_leaves_the_old_store_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "s")
    writer = StoreWriter(tmp_path / "s")
    writer.append("other.png", 1, (5, 5), boxes(1))
    writer.__exit__(RuntimeError, RuntimeError(), None)
    assert ProposalStore.open(tmp_path / "s").find("a.jpg") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    write(tmp_path / "s", ["new.jpg"])
    assert ProposalStore.open(tmp_path / "s").file_name(0) == "new.jpg"
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_of_equal_names_the_first_is_found(tmp_path: Path) -> None:
    assert write(tmp_path / "s", ["b.jpg", "a.jpg", "c.jpg", "a.jpg"]).find("a.jpg") == 1


def test_lengths_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    writer = StoreWriter(tmp_path / "s")
    with pytest.raises(ValueError, match=r"x\.png: 2 boxes but 3 scores"):
        writer.append("x.png", 1, (9, 9), boxes(2), scores=np.zeros(3))
    writer.abandon()


def test_a_folder_that_is_no_store_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(InputError, match="no proposal store"):
        StoreWriter(tmp_path)
    write(tmp_path / "s")
    (tmp_path / "s" / META).unlink()
    with pytest.raises(InputError, match=r"lost its store\.json; delete the folder"):
        StoreWriter(tmp_path / "s")
    assert (tmp_path / "precious.txt").exists()


@pytest.mark.parametrize("box", [(0, 0, float("nan"), 1), (0, 0, float("inf"), 1), (2, 0, 1, 1)])
def test_what_no_reader_takes_is_not_written(tmp_path: Path, box: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"a\.jpg: boxes that are not finite"):
        StoreWriter(tmp_path / "s").append("a.jpg", 1, (9, 9), np.array([box]))


def test_a_full_disk_leaves_nothing_behind_and_the_old_store_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "s")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def write_much() -> None:
        with StoreWriter(tmp_path / "s") as writer:
            for number in range(1000):
                writer.append(f"{number}.jpg", number, (99, 99), boxes(100))

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_much()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    assert len(ProposalStore.open(tmp_path / "s")) == len(NAMES)


def test_what_a_killed_process_left_aside_is_removed(tmp_path: Path) -> None:
    for name in ("s.77.old", "other.77.old", "s.more"):
        (tmp_path / name).mkdir()
    write(tmp_path / "s")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.77.old", "s", "s.more"]


def test_damage_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="aligndet proposals make"):
        ProposalStore.open(tmp_path / "nowhere")
    store = write(tmp_path / "s")
    store.verify()
    path = tmp_path / "s" / "boxes.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match=r"boxes\.npy \(changed since .*\); it touches 3 of 5 images"):
        ProposalStore.open(tmp_path / "s").verify()
    path.write_bytes(whole[:-20])
    with pytest.raises(InputError, match=r"boxes\.npy \(changed"):
        ProposalStore.open(tmp_path / "s")
    path.unlink()
    with pytest.raises(InputError, match=r"boxes\.npy \(missing\)"):
        ProposalStore.open(tmp_path / "s")
    assert is_store(tmp_path / "s")
    assert not is_store(tmp_path)


def test_long_columns_are_filled_in_pieces(tmp_path: Path) -> None:
    column = column_file.ColumnFile(tmp_path / "levels.npy", "levels")
    column.fill(70_000)
    column.write(np.array([5]))
    assert column.close() == column.close() == 70_001
    values = np.load(tmp_path / "levels.npy")
    assert (values[:-1] == -1).all()
    assert values[-1] == 5


def test_writing_needs_the_same_memory_for_ten_times_the_images(tmp_path: Path) -> None:
    def peak(images: int) -> int:
        found = boxes(100)
        tracemalloc.start()
        with StoreWriter(tmp_path / str(images)) as writer:
            for number in range(images):
                writer.append(f"{number}.jpg", number, (99, 99), found, scores=found[:, 0])
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    few, many = peak(300), peak(3000)
    assert many - few < 2700 * 60  # bytes; the boxes of an image take 1600, its scores 400
