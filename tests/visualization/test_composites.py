"""Pictures of composites: what is drawn where, and the tool."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from aligndet.common.errors import InputError
from aligndet.visualization.composites import AUGMENTED, TRUE, draw_composites
from tests.command import command

main = command("show composites")

ROOT = Path(__file__).parents[2]


def item() -> dict[str, Any]:
    """Black views of 64 px; the query's box is (8, 16, 40, 48), the key's (20, 4, 60, 30)."""
    boxes = {"query": [[8.0, 16, 40, 48]], "key": [[20.0, 4, 60, 30]]}
    samples = {
        view: SimpleNamespace(gt_instances=SimpleNamespace(bboxes=torch.tensor(box)))
        for view, box in boxes.items()
    }
    return {"inputs": {view: torch.zeros(3, 64, 64).byte() for view in boxes}, "data_samples": samples}


def pixels(picture: np.ndarray, colour: tuple[int, int, int], view: int) -> np.ndarray:
    """(n, 2) x, y of a colour within a view of 64 px (20 px of caption above, 4 px between views)."""
    part = picture[20:, 68 * view : 68 * view + 64]
    rows, columns = np.nonzero((part == colour).all(-1))
    return np.stack([columns, rows], 1)


def test_true_boxes_in_both_views_augmented_ones_in_the_query_only() -> None:
    picture = draw_composites(item(), np.array([[0, 0, 30, 30], [-8, 40, 50, 90]]))
    assert picture.shape == (84, 64 * 2 + 4, 3)
    for view, box in ((0, [8, 16, 40, 48]), (1, [20, 4, 60, 30])):
        where = pixels(picture, TRUE, view)
        assert abs(where.min(0) - box[:2]).max() <= 1
        assert abs(where.max(0) + 1 - box[2:]).max() <= 1
    assert [0, 0] in pixels(picture, AUGMENTED, 0).tolist()
    assert len(pixels(picture, AUGMENTED, 1)) == 0
    assert len(pixels(draw_composites(item()), AUGMENTED, 0)) == 0


def test_other_data_are_refused() -> None:
    other = item()
    other["data_samples"] = {"online": None}
    with pytest.raises(InputError, match="no branch 'query'"):
        draw_composites(other)


def test_the_tool_draws_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    rng = np.random.default_rng(0)
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    argv = [
        f"{ROOT}/configs/image_domain/insloc_r18_fpn_folder.py",
        str(tmp_path / "out.png"),
        "--count",
        "2",
    ]
    argv += ["--cfg-options", f"train_dataloader.dataset.data_root={tmp_path}"]
    assert main(argv) == 0
    picture = cv2.imread(str(tmp_path / "out.png"))
    assert picture is not None
    assert picture.shape == (148, 2 * (128 * 2 + 4) + 8, 3)
    assert len(pixels(picture, AUGMENTED, 0)) > 50
    assert main([*argv[:-1], "train_dataloader.dataset.data_root=nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err
