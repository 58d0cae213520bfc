"""Nearest neighbours of box embeddings: which are found, how they are drawn, and the tool on a checkpoint."""

import aligndet  # noqa: F401, I001  first: makes mmcv importable where it has no compiled ops

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS

from aligndet.image_domain.methods.insloc.embed import embed_boxes, load_insloc, read_windows, window
from aligndet.training.run import load_config
from aligndet.visualization.neighbours import draw_neighbours, nearest, same_class
from tests.small import NARROW_INSLOC
from tests.small_coco import make_coco
from tests.command import command

main = command("show neighbours")

ROOT = Path(__file__).parents[2]


def test_neighbours_are_of_other_images_best_first() -> None:
    embeddings = np.array([[1.0, 0], [1, 0.01], [2, 1], [0, 1], [-1, 0]])
    found = nearest(embeddings, np.array([0, 3]), count=2, groups=np.array([1, 1, 2, 3, 4]))
    assert found.tolist() == [[2, 3], [2, 1]]
    assert nearest(embeddings, np.array([0]), 9, np.array([1, 1, 2, 3, 4])).shape == (1, 3)


def test_a_row_shows_the_query_then_its_neighbours() -> None:
    crops = np.stack([np.full((8, 8, 3), value, np.uint8) for value in (10, 20, 30)])
    picture = draw_neighbours(crops, np.array([2]), np.array([[0, 1]]))
    assert picture.shape == (8, 8 + 4 + 8 + 4 + 8, 3)
    assert [int(picture[4, x, 0]) for x in (4, 9, 16, 28)] == [30, 60, 10, 20]
    assert draw_neighbours(crops, np.array([2]), np.array([[0, 1]]), ["a", "b", "c"]).shape[0] == 28


def test_share_of_the_same_class() -> None:
    hit, chance = same_class(["cat", "dog", "cat", "cat"], np.array([[1, 2], [0, 2], [0, 3], [1, 0]]))
    assert hit == (0.5 + 0 + 1 + 0.5) / 4
    assert chance == (3 * 0.75 + 0.25) / 4


def test_the_window_centres_the_box_at_its_size_of_training() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    cv2.rectangle(image, (30, 40), (30 + 59, 40 + 19), (255, 255, 255), -1)
    pixels, box = window(image, [30, 40, 60, 20], side=80)
    np.testing.assert_allclose(box, [10, 30, 70, 50])  # 60 px wide of 80; centred
    rows, columns = np.nonzero(pixels[..., 0] > 127)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (10, 30, 70, 50)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An untrained small InsLoc as tools/train.py would save it."""
    options = {
        **NARROW_INSLOC,
        "model.queue_len": 8,
    }
    cfg = load_config(f"{ROOT}/configs/image_domain/insloc_r18_fpn_folder.py", options)
    torch.manual_seed(0)
    state = MODELS.build(cfg.model).state_dict()
    torch.save({"meta": {"cfg": cfg.pretty_text}, "state_dict": state}, tmp_path / "epoch_1.pth")
    return tmp_path / "epoch_1.pth"


def test_the_tool_finds_red_by_red_and_says_so(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Even random weights tell red boxes from green ones."""
    boxes = make_coco(tmp_path, 12)
    argv = [str(checkpoint), str(tmp_path / "out.png"), "--val", str(boxes), "--min-side", "8"]
    argv += ["--images", str(tmp_path / "images"), "--neighbours", "3", "--rows", "4"]
    assert main(argv) == 0
    share = float(capsys.readouterr().out.split("%")[0])
    assert share > 70
    picture = cv2.imread(str(tmp_path / "out.png"))
    assert picture is not None
    assert picture.shape == (4 * 148 + 3 * 4, 4 * 128 + 3 * 4, 3)
    model, side = load_insloc(checkpoint)
    windows = read_windows(boxes, tmp_path / "images", side, limit=5, min_side=8)
    embeddings = embed_boxes(model, windows, batch_size=2)
    assert embeddings.shape == (5, 4 * 128)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(embeddings, embed_boxes(model, windows, batch_size=5), atol=1e-5)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    torch.save({"meta": {}, "state_dict": {}}, tmp_path / "other.pth")
    boxes = make_coco(tmp_path, 2)
    argv = ["--val", str(boxes), "--images", str(tmp_path / "images")]
    assert main([str(tmp_path / "other.pth"), str(tmp_path / "o.png"), *argv]) == 2
    assert "InsLoc config" in capsys.readouterr().err
    assert main([str(tmp_path / "images"), str(tmp_path / "o.png"), *argv]) == 2
    assert "no checkpoint" in capsys.readouterr().err
