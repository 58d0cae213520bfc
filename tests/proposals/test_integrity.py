"""Damage to a store: every file and every place is noticed, and the images that it touches are named."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.proposals import first_use
from aligndet.proposals.integrity import DamagedStoreError
from aligndet.proposals.layout import BLOCK, BLOCKS, META, SKIPPED
from aligndet.proposals.store import ProposalStore
from aligndet.proposals.store_meta import seal_of
from aligndet.proposals.store_writer import StoreWriter

IMAGES, BOXES = 400, 20


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boxes take 128,000 bytes: eight blocks; other columns take one or two."""
    out = tmp_path_factory.mktemp("sound") / "s"
    rng = np.random.default_rng(0)
    with StoreWriter(out, {"backend": "grid"}) as writer:
        for number in range(IMAGES):
            corner = rng.uniform(0, 50, (BOXES, 2))
            boxes = np.concatenate([corner, corner + 9], axis=1)
            writer.append(f"{number:03d}.jpg", number, (99, 99), boxes, 7, scores=corner[:, 0])
        writer.skip("bad.jpg", "file is empty")
    return out


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "s"))


def flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 0x10
    file.write_bytes(data)


def test_one_flipped_bit_of_any_file_is_noticed_at_the_next_use(store: Path) -> None:
    ProposalStore.open(store)
    files = sorted(path.name for path in store.iterdir())
    assert {META, SKIPPED, BLOCKS, "boxes.npy", "stamps.npy"} <= set(files)
    for name in files:
        for place in (0, -1):
            whole = (store / name).read_bytes()
            flip(store / name, place)
            with pytest.raises(InputError, match=re.escape(name)):
                ProposalStore.open(store)
            (store / name).write_bytes(whole)
    ProposalStore.open(store)


def test_the_images_of_a_damaged_block_are_named_and_no_others(store: Path) -> None:
    flip(store / "boxes.npy", -1)
    with pytest.raises(DamagedStoreError) as error:
        ProposalStore.open(store)
    damage = error.value.damage
    # the last block begins at byte 114,688; the header takes 128, an image 320
    assert damage.names[0] == f"{(7 * BLOCK - 128) // 320}.jpg" == "358.jpg"
    assert (damage.images, damage.total) == (IMAGES - 358, IMAGES)
    assert "it touches 42 of 400 images (358.jpg, 359.jpg, 360.jpg, 361.jpg, 362.jpg, ...)" in str(damage)
    assert "aligndet proposals make" in str(damage)


@pytest.mark.parametrize("name", ["offsets.npy", "sizes.npy", "names.npy", "stamps.npy", "image_ids.npy"])
def test_a_column_in_one_block_touches_all_images(store: Path, name: str) -> None:
    flip(store / name, -1)
    with pytest.raises(DamagedStoreError, match="it touches 400 of 400 images"):
        ProposalStore.open(store)


@pytest.mark.parametrize("name", ["name_hashes.npy", "name_rows.npy", SKIPPED, BLOCKS])
def test_what_follows_from_the_rest_touches_no_image(store: Path, name: str) -> None:
    flip(store / name, -1)
    with pytest.raises(DamagedStoreError) as error:
        ProposalStore.open(store)
    assert (error.value.damage.files, error.value.damage.images) == (
        {name: "changed since it was written"},
        0,
    )


def test_without_sums_of_blocks_all_images_are_touched(store: Path) -> None:
    flip(store / BLOCKS, -1)
    flip(store / "boxes.npy", -1)
    with pytest.raises(DamagedStoreError, match="it touches 400 of 400 images"):
        ProposalStore.open(store)


def test_a_file_that_is_cut_or_gone_touches_what_is_lost(store: Path) -> None:
    data = (store / "boxes.npy").read_bytes()
    (store / "boxes.npy").write_bytes(data[: 7 * BLOCK + 9])
    with pytest.raises(DamagedStoreError, match=r"touches 42 of 400 images \(358\.jpg"):
        ProposalStore.open(store)
    (store / "boxes.npy").unlink()
    with pytest.raises(DamagedStoreError, match=r"boxes\.npy \(missing\); it touches 400"):
        ProposalStore.open(store)


def test_the_advice_is_the_command_that_made_the_store(tmp_path: Path) -> None:
    rows: list[tuple[dict[str, object], str]] = [
        ({"clusters": {"clusters": 2}, "backend": "fast"}, "proposals cluster"),
        ({"description": "of others"}, "proposals convert"),
        ({"backend": "file"}, "proposals convert"),
        ({"backend": "fast"}, "proposals make"),
    ]
    for number, (info, words) in enumerate(rows):
        out = tmp_path / str(number)
        with StoreWriter(out, info) as writer:
            writer.append("a.jpg", 1, (9, 9), np.array([[0, 0, 5, 5]]))
        flip(out / "boxes.npy", -1)
        with pytest.raises(DamagedStoreError, match=words):
            ProposalStore.open(out)


def change(store: Path, **values: object) -> None:
    """Change ``store.json`` as somebody who knows its seal."""
    meta = {**json.loads((store / META).read_text()), **values}
    (store / META).write_text(json.dumps({**meta, "seal": seal_of(meta)}))


def test_stores_of_other_versions_say_what_to_do(store: Path) -> None:
    change(store, version=2)
    with pytest.raises(InputError, match=r"version 2, written by a newer aligndet; .* 1\. Update aligndet"):
        ProposalStore.open(store)
    for version in (0, True, "1", None):
        change(store, version=version)
        with pytest.raises(InputError, match="expected 1; write the store again"):
            ProposalStore.open(store)


def test_a_store_of_before_the_sums_of_blocks_reads_and_is_checked(store: Path) -> None:
    meta = json.loads((store / META).read_text())
    del meta["seal"], meta["bytes"], meta["sha256"][BLOCKS]
    (store / META).write_text(json.dumps(meta))
    (store / BLOCKS).unlink()
    assert ProposalStore.open(store).file_name(399) == "399.jpg"
    flip(store / "boxes.npy", -1)
    with pytest.raises(DamagedStoreError, match=r"boxes\.npy \(changed .*touches 400 of 400"):
        ProposalStore.open(store)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"columns": {}}, "'columns' does not name"),
        ({"images": 7}, "lengths of its columns do not belong together"),
        ({"images": 400.0}, "'images' is missing or no int"),
        ({"boxes": -1}, "a number of rows is none"),
        ({"skipped": "x" * 5000}, "'skipped' is missing or no int"),
        ({"sha256": {}}, "'bytes' does not name the files"),
        ({"format": "other"}, "no format 'aligndet-proposals'"),
    ],
)
def test_a_store_json_that_does_not_fit_is_refused(store: Path, values: dict, words: str) -> None:
    change(store, **values)
    with pytest.raises(InputError, match=words):
        ProposalStore.open(store)


@pytest.mark.parametrize(
    "info",
    [
        {"clusters": 7},
        {"clusters": {"clusters": "x"}},
        {"clusters": {"clusters": 2**31}},
        {"clusters": {"names": [1]}},
        {"notes": "of somebody else"},
    ],
)
def test_what_others_wrote_about_their_boxes_is_passed_over(tmp_path: Path, info: dict) -> None:
    with StoreWriter(tmp_path / "s", {"by": "them", **info}) as writer:
        writer.append("a.jpg", 1, (9, 9), np.array([[0, 0, 5, 5]]), clusters=np.array([4]))
    store = ProposalStore.open(tmp_path / "s")
    assert (store.info, store.num_clusters) == ({"by": "them"}, 5)


def test_a_store_json_that_was_edited_is_refused_whatever_its_layout(store: Path) -> None:
    meta = json.loads((store / META).read_text())
    (store / META).write_text(json.dumps(meta, indent=4))
    ProposalStore.open(store)
    (store / META).write_text(json.dumps({**meta, "info": {}}))
    with pytest.raises(
        InputError, match=r"store\.json: damaged, it changed since it was written; .*--overwrite"
    ):
        ProposalStore.open(store)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(first_use, "_checked", set())
