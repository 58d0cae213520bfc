"""The montage shows boxes where the proposal file says they are."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from aligndet.visualization.drawing import instance_colour
from aligndet.visualization.proposals import draw_proposals
from tools.show_proposals import main

CAPTION = 20


def proposals(folder: Path, boxes: list[list[float]], **fields: list[Any]) -> dict[str, Any]:
    cv2.imwrite(str(folder / "a.png"), np.full((60, 80, 3), 40, np.uint8))
    annotations = [
        {"id": i, "image_id": 7, "bbox": box, "category_id": 1, **{k: v[i] for k, v in fields.items()}}
        for i, box in enumerate(boxes)
    ]
    return {
        "images": [{"id": 7, "file_name": "a.png", "width": 80, "height": 60}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "proposal"}],
    }


def test_a_box_is_drawn_at_its_place(tmp_path: Path) -> None:
    picture = draw_proposals(proposals(tmp_path, [[20, 10, 40, 30]]), tmp_path)
    assert picture.shape == (60 + CAPTION, 80, 3)
    for row, column in [(10, 20), (39, 59), (10, 40)]:
        assert picture[CAPTION + row, column].tolist() == list(instance_colour(0))
    assert picture[CAPTION + 25, 40].tolist() == [40, 40, 40]


def test_boxes_shrink_with_the_image(tmp_path: Path) -> None:
    picture = draw_proposals(proposals(tmp_path, [[20, 10, 40, 30]]), tmp_path, long_side=40)
    assert picture[CAPTION + 5, 20].tolist() == list(instance_colour(0))
    assert picture[CAPTION + 12, 20].tolist() == [40, 40, 40]


def test_highest_scores_are_shown_first(tmp_path: Path) -> None:
    content = proposals(tmp_path, [[0, 0, 10, 10], [30, 30, 20, 20]], score=[0.1, 0.9])
    picture = draw_proposals(content, tmp_path, boxes=1)
    assert picture[CAPTION, 5].tolist() == [40, 40, 40]
    assert picture[CAPTION + 30, 40].tolist() == list(instance_colour(0))


def test_clusters_give_the_colours(tmp_path: Path) -> None:
    content = proposals(tmp_path, [[0, 0, 10, 10], [30, 30, 20, 20]], category_id=[2, 2])
    content["categories"] += [{"id": 2, "name": "cluster_1"}]
    picture = draw_proposals(content, tmp_path)
    assert picture[CAPTION, 5].tolist() == picture[CAPTION + 30, 40].tolist() == list(instance_colour(2))


def test_unreadable_images_are_passed_over(tmp_path: Path) -> None:
    content = proposals(tmp_path, [[20, 10, 40, 30]])
    content["images"].append({"id": 8, "file_name": "gone.png", "width": 80, "height": 60})
    assert draw_proposals(content, tmp_path).shape == (60 + CAPTION, 80, 3)
    (tmp_path / "a.png").unlink()
    with pytest.raises(ValueError, match="none of 2 images can be read"):
        draw_proposals(content, tmp_path)


def test_tool(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "p.json").write_text(json.dumps(proposals(tmp_path, [[20, 10, 40, 30]])))
    out = tmp_path / "out.png"
    assert main([str(tmp_path / "p.json"), str(out), "--images", str(tmp_path)]) == 0
    assert np.asarray(cv2.imread(str(out)))[CAPTION + 10, 40].tolist() == list(instance_colour(0))
    assert main([str(tmp_path / "p.json"), str(out), "--images", str(tmp_path / "other")]) == 1
    assert "--images" in capsys.readouterr().err
