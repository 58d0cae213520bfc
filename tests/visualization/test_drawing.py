"""Boxes land on their pixels, in their colours."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.visualization.drawing import caption, draw_boxes, fit, instance_colour, montage, write_image


def test_outline_is_drawn_on_the_box_and_nowhere_else() -> None:
    image = np.full((40, 60, 3), 7, np.uint8)
    drawn = draw_boxes(image, np.array([[10.0, 5.0, 30.0, 25.0]]), [(1, 2, 250)], thickness=1)
    for row, column in [(5, 10), (24, 10), (5, 29), (24, 29), (15, 10), (5, 20)]:
        assert drawn[row, column].tolist() == [1, 2, 250], (row, column)
    changed = np.argwhere((drawn != 7).any(axis=2))
    assert changed.min(axis=0).tolist() == [5, 10]
    assert changed.max(axis=0).tolist() == [24, 29]
    assert drawn[15, 20].tolist() == [7, 7, 7]
    assert (image == 7).all()  # the given image is not touched


def test_boxes_beyond_the_image_are_clipped() -> None:
    drawn = draw_boxes(np.zeros((20, 20, 3), np.uint8), np.array([[-5.0, -5.0, 50.0, 50.0]]), [(9, 9, 9)], 1)
    assert (drawn[0] == 9).all()
    assert (drawn[:, 19] == 9).all()


def test_each_box_has_its_own_colour_and_line() -> None:
    boxes = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
    drawn = draw_boxes(np.zeros((40, 40, 3), np.uint8), boxes, [(200, 0, 0), (0, 200, 0)], [1, 3])
    assert drawn[0, 5].tolist() == [200, 0, 0]
    assert drawn[20, 25].tolist() == [0, 200, 0]
    assert drawn[5, 5].tolist() == [0, 0, 0]
    assert drawn[19, 25].tolist() == [0, 200, 0]  # three pixels wide


def test_colours_are_stable_and_apart() -> None:
    colours = np.array([instance_colour(i) for i in range(30)], dtype=int)
    assert instance_colour(17) == instance_colour(17)
    distances = np.abs(colours[:, None] - colours[None]).sum(axis=2) + 999 * np.eye(30, dtype=int)
    assert distances.min() > 25
    assert (colours.max(axis=1) > 200).all()


def test_montage_puts_images_in_reading_order() -> None:
    tiles = [np.full((4, 6, 3), value, np.uint8) for value in (10, 20, 30)]
    grid = montage(tiles, columns=2, gap=1)
    assert grid.shape == (9, 13, 3)
    assert (grid[0, 0, 0], grid[0, 7, 0], grid[5, 0, 0]) == (10, 20, 30)
    assert grid[4, 0].tolist() == [255, 255, 255]
    assert grid[5, 7].tolist() == [255, 255, 255]


def test_montage_of_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match="no images"):
        montage([])


def test_caption_leaves_the_image_below_the_text() -> None:
    image = np.full((10, 100, 3), 50, np.uint8)
    titled = caption(image, "text")
    assert titled.shape == (30, 100, 3)
    assert (titled[20:] == 50).all()
    assert (titled[:20] < 100).any()


def test_a_long_caption_fits_a_narrow_image() -> None:
    titled = caption(np.zeros((10, 120, 3), np.uint8), "a caption of some thirty letters")
    inked = np.flatnonzero((titled[:20] < 200).any(axis=(0, 2)))
    assert 90 < inked.max() < 119


@pytest.mark.parametrize(("long_side", "shape"), [(50, (25, 50, 3)), (400, (100, 200, 3))])
def test_fit_shrinks_but_never_enlarges(long_side: int, shape: tuple[int, ...]) -> None:
    assert fit(np.zeros((100, 200, 3), np.uint8), long_side).shape == shape


def test_pictures_are_written_or_the_reason_is_named(tmp_path: Path) -> None:
    image = np.full((5, 5, 3), 77, np.uint8)
    write_image(image, str(tmp_path / "a.png"))
    assert (np.asarray(cv2.imread(str(tmp_path / "a.png"))) == 77).all()
    with pytest.raises(InputError, match="does its folder exist"):
        write_image(image, str(tmp_path / "missing" / "a.png"))
