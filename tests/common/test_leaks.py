"""An image that is in two sets is found: as the same file, as a copy and, as a hint, as a near copy."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.common import leaks
from aligndet.common.leaks import ImageSet, find_leak


def scene(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cv2.resize(
        rng.integers(0, 255, (6, 8, 3), dtype=np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC
    )


@pytest.fixture
def sets(tmp_path: Path) -> tuple[ImageSet, ImageSet]:
    """Two folders of four different images each, with the same names in both."""
    for folder, seed in (("val", 10), ("train", 20)):
        (tmp_path / folder).mkdir()
        for number in range(4):
            cv2.imwrite(str(tmp_path / folder / f"{number}.jpg"), scene(seed + number))
    names = [f"{number}.jpg" for number in range(4)]
    return ImageSet("--val", tmp_path / "val", names), ImageSet("--train", tmp_path / "train", names)


def test_equal_names_in_two_folders_are_no_leak(sets: tuple[ImageSet, ImageSet]) -> None:
    leak = find_leak(*sets)
    assert (leak.certain, leak.near, leak.text(), leak.hint()) == (0, (), "", "")
    assert leak.searched


def test_the_same_file_by_name_or_link(sets: tuple[ImageSet, ImageSet]) -> None:
    val, train = sets
    leak = find_leak(val, ImageSet("--train", val.folder, ["1.jpg", "3.jpg"]))
    assert leak.same == (("1.jpg", "1.jpg"), ("3.jpg", "3.jpg"))
    (train.folder / "link.jpg").symlink_to(val.folder / "2.jpg")
    leak = find_leak(val, ImageSet("--train", train.folder, [*train.names, "link.jpg"]))
    assert leak.same == (("2.jpg", "link.jpg"),)
    assert leak.text() == (
        "1 of the 4 images of --val are also in --train (1 the same file), such as 2.jpg, there as link.jpg"
    )


def test_the_same_bytes_under_another_name(sets: tuple[ImageSet, ImageSet]) -> None:
    """Files of equal length and other bytes are none."""
    val, train = sets
    shutil.copy(val.folder / "0.jpg", train.folder / "renamed.jpg")
    data = (val.folder / "1.jpg").read_bytes()
    (train.folder / "as_long.jpg").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    names = [*train.names, "renamed.jpg", "as_long.jpg", "gone.jpg"]
    leak = find_leak(val, ImageSet("--train", train.folder, names), near=False)
    assert leak.copies == (("0.jpg", "renamed.jpg"),)
    assert (leak.certain, leak.near, leak.hint()) == (1, (), "")


@pytest.mark.parametrize("change", ["quality", "size", "grey", "png"])
def test_a_near_copy_is_a_hint(change: str, sets: tuple[ImageSet, ImageSet]) -> None:
    val, train = sets
    image = cv2.imread(str(val.folder / "3.jpg"))
    assert image is not None
    changed = {
        "quality": image,
        "size": cv2.resize(image, (107, 80), interpolation=cv2.INTER_AREA),
        "grey": cv2.cvtColor(image, cv2.COLOR_BGR2GRAY),
        "png": image,
    }[change]
    name = "copy.png" if change == "png" else "copy.jpg"
    cv2.imwrite(str(train.folder / name), changed, [cv2.IMWRITE_JPEG_QUALITY, 70])
    leak = find_leak(val, ImageSet("--train", train.folder, [*train.names, name]))
    assert (leak.certain, leak.near) == (0, (("3.jpg", name),))
    assert leak.hint().endswith("such as 3.jpg and copy." + name[-3:] + ": near copies?")


def test_plain_and_broken_images_look_like_none(sets: tuple[ImageSet, ImageSet]) -> None:
    val, train = sets
    for number, folder in enumerate((val.folder, train.folder)):
        cv2.imwrite(str(folder / "plain.png"), np.full((30 + number, 30, 3), 7 + number, np.uint8))
        (folder / "broken.jpg").write_bytes(b"no image" * (number + 1))
    more = ["plain.png", "broken.jpg"]
    first, second = (ImageSet(one.title, one.folder, [*one.names, *more]) for one in (val, train))
    assert find_leak(first, second).near == ()


def test_large_sets_are_not_opened(sets: tuple[ImageSet, ImageSet], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "MOST_OPENED", 7)
    monkeypatch.setattr(leaks, "_hash", lambda path: pytest.fail("opened"))
    assert re.search(r"near copies .* not looked for: .* more than 7", find_leak(*sets).hint())
    assert find_leak(*sets, near=False).hint() == "", "nobody asked"
