"""Copy-and-paste compositing: the pixels, the box, and the statistics of the published recipe."""

from typing import Any

import numpy as np
import pytest
from mmengine.registry import TRANSFORMS, init_default_scope

from aligndet.common.errors import InputError
from aligndet.image_domain.methods.insloc.composite import fade, fit_inside, paste
from aligndet.image_domain.methods.insloc.transforms import CopyAndPaste


def item(height: int = 375, width: int = 500) -> dict[str, Any]:
    """A white foreground and two backgrounds, black and grey, of other shapes."""
    backgrounds = [np.zeros((90, 200, 3), np.uint8), np.full((300, 100, 3), 100, np.uint8)]
    return {"img": np.full((height, width, 3), 255, np.uint8), "backgrounds": backgrounds}


def composite(seed: int, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    np.random.seed(seed)
    results = CopyAndPaste(**{"background": 0, **options}).transform(item())
    return results["img"], results["gt_bboxes"].tensor.numpy()


@pytest.fixture(scope="module")
def boxes() -> np.ndarray:
    """Boxes of many composites of a 500 x 375 source."""
    return np.concatenate([composite(seed)[1] for seed in range(2000)])


def white_rectangle(image: np.ndarray) -> list[int]:
    rows, columns = np.nonzero((image == 255).all(-1))
    assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1), "the paste is one full rectangle"
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("seed", range(8))
def test_the_box_is_the_pasted_rectangle(seed: int) -> None:
    image, boxes = composite(seed)
    assert image.shape == (256, 256, 3)
    assert boxes.shape == (1, 4)
    assert boxes[0].tolist() == white_rectangle(image)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (2, 3)])
def test_the_thinnest_image_gives_a_box_with_an_area(size: tuple[int, int]) -> None:
    np.random.seed(0)
    for _ in range(200):
        (box,) = CopyAndPaste(0).transform(item(*size))["gt_bboxes"].tensor.numpy()
        assert (box[2:] - box[:2] >= 1).all()


def test_the_background_of_the_view_is_the_canvas() -> None:
    for background, value in ((0, 0), (1, 100)):
        image, _ = composite(3, background=background)
        assert set(np.unique(image)) == {value, 255}


def test_sizes_are_those_of_the_published_recipe(boxes: np.ndarray) -> None:
    """Long side 128 to 254, 23 % of short sides below 128, area 45 % of the canvas (500 x 375 source)."""
    sides = boxes[:, 2:] - boxes[:, :2]
    short, long = sides.min(1), sides.max(1)
    assert 128 <= long.min() <= 132
    assert 250 <= long.max() <= 254
    assert 64 <= short.min() < 80
    assert np.mean(short < 128) == pytest.approx(0.23, abs=0.025)
    assert np.mean(sides.prod(1) / 256**2) == pytest.approx(0.45, abs=0.02)


def test_places_are_uniform_and_inside(boxes: np.ndarray) -> None:
    assert boxes.min() >= 0
    assert boxes.max() <= 256
    free = 256 - (boxes[:, 2:] - boxes[:, :2])
    place = boxes[:, :2] / np.maximum(free, 1)
    assert place.mean(0) == pytest.approx([0.5, 0.5], abs=0.03)
    assert place.std(0) == pytest.approx([12**-0.5] * 2, abs=0.03)
    assert (boxes[:, :2] == free).any()  # the last place counts


def test_crops_have_the_area_and_aspect_of_the_recipe() -> None:
    image = np.zeros((256, 256, 3), np.uint8)
    areas, aspects, transform = [], [], CopyAndPaste(background=0)
    np.random.seed(0)
    for _ in range(400):
        _, _, height, width = transform.crop.rand_crop_params(image)
        areas.append(height * width / 256**2)
        aspects.append(width / height)
    assert min(areas) >= 0.19
    assert 0.97 <= max(areas) <= 1
    assert 0.49 <= min(aspects) < 0.6
    assert 1.7 < max(aspects) <= 2.02
    assert abs(np.median(np.log(aspects))) < 0.12


def test_the_aspect_of_the_crop_survives() -> None:
    patch = np.zeros((50, 100, 3), np.uint8)
    assert fit_inside(patch, (254, 130)).shape == (127, 254, 3)  # the long side binds
    assert fit_inside(patch, (130, 254)).shape == (127, 254, 3)  # the order of the sides means nothing
    assert fit_inside(np.zeros((100, 100, 3), np.uint8), (254, 130)).shape == (130, 130, 3)  # the short side


def test_same_seed_same_composite_other_seed_another() -> None:
    first, again, other = composite(5), composite(5), composite(6)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])


def test_paste_is_opaque_and_leaves_its_arguments_alone() -> None:
    canvas, patch = np.zeros((6, 6, 3), np.uint8), np.full((2, 3, 3), 9, np.uint8)
    result = paste(canvas, patch, left=1, top=4)
    assert (result[4:6, 1:4] == 9).all()
    assert result.sum() == 9 * 2 * 3 * 3
    assert canvas.sum() == 0


def test_feathering_fades_inside_the_rectangle_only() -> None:
    canvas, patch = np.zeros((20, 20, 3), np.uint8), np.full((12, 12, 3), 200, np.uint8)
    result = paste(canvas, patch, left=4, top=4, feather=4)[..., 0]
    assert result[10, 4:9].tolist() == [25, 75, 125, 175, 200]  # (0.5, 1.5, 2.5, 3.5) / 4 of 200, then whole
    assert result[10, 3] == 0
    assert np.array_equal(result, result[::-1, ::-1])


def test_feathering_makes_the_step_at_the_border_smaller() -> None:
    """What feathering is for, measured: the mean step across the border of a white patch on black."""
    hard, soft = (composite(1, feather=feather) for feather in (0, 8))
    left, top = int(hard[1][0, 0]), int(hard[1][0, 1])
    middle = int(hard[1][0, 1::2].mean())
    assert hard[0][middle, left, 0] == 255
    assert soft[0][middle, left, 0] == 16
    assert np.array_equal(hard[1], soft[1]), "the box stays"
    assert fade(4, 4, 100).max() < 0.02
    assert top >= 0


def test_flipping_takes_the_box_along() -> None:
    init_default_scope("mmdet")
    np.random.seed(2)
    results = CopyAndPaste(background=0).transform(item())
    before = results["gt_bboxes"].tensor[0].tolist()
    results = TRANSFORMS.build({"type": "mmdet.RandomFlip", "prob": 1.0})(results)
    after = results["gt_bboxes"].tensor[0].tolist()
    assert after == [256 - before[2], before[1], 256 - before[0], before[3]]
    assert after == white_rectangle(results["img"])


def test_other_canvas_sizes_scale_the_sides() -> None:
    assert CopyAndPaste(background=0, canvas=128).sides == (64, 126)
    with pytest.raises(InputError, match="canvas=100"):
        CopyAndPaste(background=0, canvas=100, sides=(50, 101))
