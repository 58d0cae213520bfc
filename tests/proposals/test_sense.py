"""A store whose hashes fit and whose content cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.common.files import content_hash
from aligndet.proposals.layout import META
from aligndet.proposals.store import ProposalStore, verify_store
from aligndet.proposals.store_meta import seal_of
from aligndet.proposals.store_writer import StoreWriter

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with StoreWriter(tmp_path / "s", {"clusters": {"clusters": 2}}) as writer:
        for number in range(3):
            boxes = np.array([[1, 2, 30, 40], [5, 6, 7, 8]], np.float32)
            writer.append(f"{number}.jpg", number, (50, 60), boxes, clusters=np.array([0, 1]))
        writer.skip("bad.jpg", "file is empty")
    return tmp_path / "s"


def write(store: Path, name: str, array: np.ndarray) -> None:
    """Write a column as somebody who knows the hashes."""
    np.save(store / name, array)
    vouch(store, name)


def vouch(store: Path, name: str) -> None:
    meta = json.loads((store / META).read_text())
    meta["sha256"][name] = content_hash(store / name)
    meta["bytes"][name] = (store / name).stat().st_size
    (store / META).write_text(json.dumps({**meta, "seal": seal_of(meta)}))


@pytest.mark.parametrize("box", [(NAN, 0, 1, 1), (0, 0, INF, 1), (-INF, 0, 1, 1), (3, 0, 1, 1), (0, 9, 1, 1)])
def test_boxes_that_are_none_are_refused(store: Path, box: tuple[float, ...]) -> None:
    boxes = np.load(store / "boxes.npy")
    boxes[3] = box
    write(store, "boxes.npy", boxes)
    with pytest.raises(InputError, match=r"boxes\.npy: box 3, of image 1, is not finite or its corners"):
        ProposalStore.open(store)


@pytest.mark.parametrize("offsets", [[0, 4, 2, 6], [1, 2, 4, 6], [0, 2, 4, 5], [0, 2, -4, 6]])
def test_offsets_out_of_order_are_refused(store: Path, offsets: list[int]) -> None:
    write(store, "offsets.npy", np.array(offsets, np.int64))
    with pytest.raises(InputError, match=r"offsets\.npy: its rows do not rise from 0 to 6"):
        ProposalStore.open(store)


@pytest.mark.parametrize(
    ("name", "place", "value", "words"),
    [
        ("name_offsets.npy", 1, 99, r"name_offsets\.npy: its rows do not rise"),
        ("sizes.npy", (0, 1), -5, "a width or height is negative"),
        ("clusters.npy", 4, 2, "box 4 has cluster 2 of 2"),
        ("clusters.npy", 0, -2, "box 0 has cluster -2 of 2"),
        ("name_hashes.npy", 0, 2**64 - 1, "not sorted"),
        ("name_rows.npy", 0, 7, "does not name each image once"),
    ],
)
def test_other_columns_are_refused(store: Path, name: str, place: object, value: int, words: str) -> None:
    array = np.load(store / name)
    array[place] = value
    write(store, name, array)
    with pytest.raises(InputError, match=words):
        ProposalStore.open(store)


def test_names_that_are_not_found_are_seen_in_full(store: Path) -> None:
    verify_store(store)
    names = np.load(store / "names.npy")
    names[0] = ord("9")
    write(store, "names.npy", names)
    ProposalStore.open(store)
    with pytest.raises(InputError, match="1 names have another hash"):
        verify_store(store)


@pytest.mark.parametrize("line", ['{"file_name": "x"}', "[]", "{", "7"])
def test_lines_of_skipped_images_are_read_as_such(store: Path, line: str) -> None:
    (store / "skipped.jsonl").write_text(line + "\n")
    vouch(store, "skipped.jsonl")
    with pytest.raises(InputError, match=r"skipped\.jsonl: a line is no skipped image"):
        verify_store(store)


def test_skipped_images_are_counted(store: Path) -> None:
    (store / "skipped.jsonl").write_text("")
    vouch(store, "skipped.jsonl")
    with pytest.raises(InputError, match=r"skipped\.jsonl: 0 lines, store\.json says 1"):
        verify_store(store)
