"""A damaged store is mended: what is damaged is searched again, and no other; the bytes are as before."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import aligndet
from aligndet.common.errors import InputError
from aligndet.proposals import blocks
from aligndet.proposals.finished import finished_store
from aligndet.proposals.integrity import DamagedStoreError
from aligndet.proposals.layout import BLOCKS, META, SKIPPED
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.runner import ProposalReport, make_proposals
from aligndet.proposals.store_writer import StoreWriter

HERE = Path(__file__)
COUNT = 24


def pixel_backend(boxes: int = 9) -> Callable:
    """Boxes with scores that follow from the pixels."""

    def search(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(int(image.sum()))
        corner = rng.integers(0, 20, (boxes, 2))
        return np.concatenate([corner, corner + 40], axis=1).astype(np.float32), rng.random(boxes)

    return search


OPTIONS = ProposalOptions(f"{HERE.stem}:pixel_backend", filter=None)


def make(images: Path, out: Path, **given: bool) -> ProposalReport:
    return make_proposals(images, out, OPTIONS, chunk=4, progress=False, **given)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(HERE.parent))
    monkeypatch.setattr(blocks, "BLOCK", 256)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images with a note, copies and one that is skipped, and the store of them."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "in").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE.parent))
        patch.setattr(blocks, "BLOCK", 256)
        for number in range(COUNT):
            kind, most = (np.uint16, 4096) if number == 5 else (np.uint8, 255)
            image: np.ndarray = np.random.default_rng(number).integers(0, most, (60, 70, 3)).astype(kind)
            cv2.imwrite(str(folder / "in" / f"{number:02d}.png"), image)
        shutil.copy(folder / "in" / "03.png", folder / "in" / "03copy.png")
        (folder / "in" / "bad.png").write_bytes(b"")
        report = make(folder / "in", folder / "s")
    assert (report.searched, report.images, len(report.notes)) == (COUNT + 2, COUNT + 1, 2)
    return folder


def bytes_of(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.iterdir()}


def damage(file: Path, place: float) -> None:
    data = bytearray(file.read_bytes())
    data[int(place * (len(data) - 1))] ^= 0x10
    file.write_bytes(data)


FILES = [
    *(
        "boxes.npy",
        "scores.npy",
        "offsets.npy",
        "image_ids.npy",
        "sizes.npy",
        "names.npy",
        "name_offsets.npy",
    ),
    *("stamps.npy", "name_hashes.npy", "name_rows.npy", SKIPPED, BLOCKS),
]


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_mended_to_the_byte(made: Path, tmp_path: Path, name: str) -> None:
    assert sorted([*FILES, META]) == sorted(path.name for path in (made / "s").iterdir())
    for ruin in (lambda file: damage(file, 0.6), lambda file: damage(file, 0), Path.unlink):
        store = Path(shutil.copytree(made / "s", tmp_path / "s", dirs_exist_ok=True))
        ruin(store / name)
        with pytest.raises(DamagedStoreError) as error:
            finished_store(made / "in", store, OPTIONS)
        report = make(made / "in", store, mend=True)
        assert bytes_of(store) == bytes_of(made / "s")
        skipped = 1 if name == SKIPPED else 0
        assert report.searched == error.value.damage.images + skipped


def test_only_what_is_damaged_is_searched(made: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(made / "s", tmp_path / "s"))
    damage(store / "boxes.npy", 0.5)  # an image takes 144 bytes, a block 256
    assert 2 <= make(made / "in", store, mend=True).searched <= 3


def test_a_whole_store_is_taken_as_it_is(made: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(made / "s", tmp_path / "s"))
    assert make(made / "in", store, mend=True).searched == 0
    assert bytes_of(store) == bytes_of(made / "s")


def test_an_image_that_changed_since_is_searched(made: Path, tmp_path: Path) -> None:
    images = Path(shutil.copytree(made / "in", tmp_path / "in"))
    make(images, tmp_path / "s")
    cv2.imwrite(str(images / "07.png"), np.zeros((60, 70, 3), np.uint8))
    damage(tmp_path / "s" / "boxes.npy", 0)
    assert make(images, tmp_path / "s", mend=True).searched == 2  # and that of the first block
    make(images, tmp_path / "anew")
    assert (tmp_path / "s" / "boxes.npy").read_bytes() == (tmp_path / "anew" / "boxes.npy").read_bytes()


def test_a_store_of_others_is_not_taken(made: Path, tmp_path: Path) -> None:
    images = Path(shutil.copytree(made / "in", tmp_path / "in"))
    (images / "00.png").unlink()
    for info, words in (({}, "other options"), ({**OPTIONS.describe()}, "other images")):
        store = tmp_path / words
        with StoreWriter(store, info) as writer:
            for number in range(COUNT):
                writer.append(f"x{number:02d}.png", number, (70, 60), np.array([[0, 0, 9, 9]]))
        damage(store / "boxes.npy", 1)
        with pytest.raises(InputError, match=words):
            finished_store(images, store, OPTIONS)
        assert make(images, store, mend=True).searched == COUNT + 1


def test_a_store_json_that_is_damaged_is_made_anew(made: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(made / "s", tmp_path / "s"))
    damage(store / META, 0.5)
    with pytest.raises(InputError, match="--overwrite"):
        finished_store(made / "in", store, OPTIONS)
    assert make(made / "in", store, mend=True).searched == COUNT + 2
    assert bytes_of(store) == bytes_of(made / "s")


def test_the_function_mends_like_the_command(made: Path, tmp_path: Path) -> None:
    given = {"backend": OPTIONS.backend, "workers": 0, "min_side": 8}
    aligndet.make_proposals(made / "in", tmp_path / "s", **given)  # type: ignore[arg-type]
    before = bytes_of(tmp_path / "s")
    damage(tmp_path / "s" / "scores.npy", 1)
    report = aligndet.make_proposals(made / "in", tmp_path / "s", **given)  # type: ignore[arg-type]
    assert 1 <= report.searched <= COUNT
    assert bytes_of(tmp_path / "s") == before
