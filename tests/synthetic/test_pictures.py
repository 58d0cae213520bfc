"""Single generated pictures: any shape, number of channels and kind of file, with boxes on their objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from aligndet.synthetic.pictures import encode, with_channels, write_pictures


@pytest.mark.parametrize(("channels", "suffix"), [(1, ".png"), (3, ".jpg"), (4, ".png"), (4, ".tif")])
def test_files_hold_the_channels_that_are_asked(tmp_path: Path, channels: int, suffix: str) -> None:
    pictures = write_pictures(tmp_path, [(160, 128), (96, 112)], channels, suffix)
    assert [picture.file_name for picture in pictures] == [f"000000{suffix}", f"000001{suffix}"]
    for picture in pictures:
        image: Any = cv2.imread(str(tmp_path / picture.file_name), cv2.IMREAD_UNCHANGED)
        assert image.shape[:2] == (picture.height, picture.width)
        assert (image.shape[2] if image.ndim == 3 else 1) == channels
    assert [(picture.width, picture.height) for picture in pictures] == [(160, 128), (96, 112)]


def test_pictures_have_objects_inside(tmp_path: Path) -> None:
    for picture in write_pictures(tmp_path, [(128, 96)] * 6):
        assert len(picture.boxes) >= 3
        assert (picture.boxes[:, :2] >= 0).all()
        assert (picture.boxes[:, 2:] <= [128, 96]).all()
        assert ((picture.boxes[:, 2:] - picture.boxes[:, :2]) >= 8).all()


def test_equal_arguments_give_equal_bytes_and_each_picture_is_another(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        write_pictures(tmp_path / folder, [(96, 96)] * 2, seed=5)
    write_pictures(tmp_path / "seed", [(96, 96)], seed=6)
    first, second = ((tmp_path / "one" / f"00000{n}.png").read_bytes() for n in range(2))
    assert (tmp_path / "other" / "000000.png").read_bytes() == first
    assert first != second
    assert (tmp_path / "seed" / "000000.png").read_bytes() != first


def test_further_channels_differ_from_the_colours() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert with_channels(image, 1).shape == (20, 30)
    assert (with_channels(image, 3) == image).all()
    more = with_channels(image, 5)
    assert more.shape == (20, 30, 5)
    assert (more[..., :3] == image).all()
    assert not (more[..., 3] == more[..., 4]).all()


def test_what_no_file_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no \.jpg file of 4 channels"):
        write_pictures(tmp_path, [(64, 64)], channels=4, suffix=".jpg")
    with pytest.raises(ValueError, match=r"no \.png file of 5 channels"):
        encode(np.zeros((4, 4, 5), np.uint8), ".png")
    with pytest.raises(ValueError, match="32 x 64"):
        write_pictures(tmp_path, [(32, 64)])
