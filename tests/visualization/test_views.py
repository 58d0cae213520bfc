"""One colour per instance in both views; unmatched boxes are thin; the tool reads a pre-training config."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from aligndet.common.errors import InputError
from aligndet.visualization.drawing import instance_colour
from aligndet.visualization.views import draw_views
from tests.command import command

main = command("show views")

CAPTION = 20


def sample(boxes: list[list[float]], ids: list[int]) -> DetDataSample:
    instances = InstanceData(bboxes=torch.tensor(boxes).view(-1, 4), instance_ids=torch.tensor(ids))
    return DetDataSample(gt_instances=instances)


def item(online: DetDataSample, momentum: DetDataSample) -> dict[str, Any]:
    grey = torch.full((3, 60, 80), 90, dtype=torch.uint8)
    return {
        "inputs": {"online": grey, "momentum": grey.flip(2)},
        "data_samples": {"online": online, "momentum": momentum},
    }


def test_an_instance_has_its_colour_in_both_views() -> None:
    picture = draw_views(
        item(
            sample([[10, 10, 40, 40], [50, 30, 70, 50]], [4, 9]),
            sample([[15, 5, 45, 35]], [9]),
        )
    )
    second = 80 + 4  # where the other view begins
    assert picture[CAPTION + 10, 25].tolist() == list(instance_colour(4))
    assert picture[CAPTION + 30, 60].tolist() == list(instance_colour(9))
    assert picture[CAPTION + 5, second + 30].tolist() == list(instance_colour(9))
    assert picture[CAPTION + 20, 25].tolist() == [90, 90, 90]
    across = (picture[CAPTION:, :80] != 90).any(axis=2)
    assert across[:, 25].sum() == 2  # unmatched: two edges of one pixel
    assert across[:, 60].sum() > 3  # matched: thicker


def test_views_without_boxes_are_shown_bare() -> None:
    picture = draw_views(item(sample([], []), sample([], [])))
    assert (picture[CAPTION:, :80] == 90).all()


def test_a_config_without_instance_ids_is_named() -> None:
    bare = DetDataSample(gt_instances=InstanceData(bboxes=torch.zeros(1, 4)))
    with pytest.raises(InputError, match=r"aligndet\.NumberProposals"):
        draw_views(item(bare, bare))


def test_tool_draws_the_pipeline_of_a_config(tmp_path: Path) -> None:
    image = np.full((100, 100, 3), 60, np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    proposals = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 100}],
        "annotations": [
            {"id": 1, "image_id": 1, "bbox": [20, 20, 40, 60], "area": 2400, "iscrowd": 0, "category_id": 1}
        ],
        "categories": [{"id": 1, "name": "proposal"}],
    }
    (tmp_path / "proposals.json").write_text(json.dumps(proposals))
    (tmp_path / "config.py").write_text(
        f"""
view = [dict(type='Resize', scale=(200, 200), keep_ratio=True), dict(type='aligndet.PackView')]
train_dataloader = dict(dataset=dict(
    type='aligndet.ProposalDataset', ann_file={str(tmp_path / "proposals.json")!r},
    data_prefix=dict(img={str(tmp_path) + "/"!r}),
    pipeline=[
        dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
        dict(type='aligndet.NumberProposals'),
        dict(type='MultiBranch', branch_field=['online', 'momentum'], online=view, momentum=view)]))
"""
    )
    out = tmp_path / "views.png"
    assert main([str(tmp_path / "config.py"), str(out)]) == 0
    picture = np.asarray(cv2.imread(str(out)))
    colour = list(instance_colour(0))
    for left in (0, 204):
        assert picture[CAPTION + 40, left + 80].tolist() == colour  # the box at twice its size
        assert picture[CAPTION + 100, left + 40].tolist() == colour
        assert picture[CAPTION + 100, left + 80].tolist() == [60, 60, 60]


def test_tool_names_a_missing_config(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main([str(tmp_path / "no.py"), str(tmp_path / "out.png")]) == 2
    assert "no.py" in capsys.readouterr().err
