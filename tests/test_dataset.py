"""The proposal data set: what a user can get wrong is named."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope

from aligndet.box_domain import ProposalDataset


def write(tmp_path: Path, boxes: list[list[float]], names: tuple[str, ...] = ("proposal",)) -> Path:
    """Two images of 64 px; ``boxes`` on the first, one per category in turn."""
    (tmp_path / "images").mkdir(exist_ok=True)
    for number in range(2):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.jpg"), np.zeros((64, 64, 3), np.uint8))
    content: dict[str, Any] = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 64, "height": 64} for i in range(2)],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(names)],
        "annotations": [
            {
                "id": i + 1,
                "image_id": 0,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
                "category_id": i % len(names) + 1,
            }
            for i, box in enumerate(boxes)
        ],
    }
    path = tmp_path / "proposals.json"
    path.write_text(json.dumps(content))
    return path


def load(path: Path, images: Path) -> ProposalDataset:
    init_default_scope("mmdet")
    return ProposalDataset(ann_file=str(path), data_prefix={"img": str(images)}, pipeline=[])


def test_reads_boxes_and_leaves_out_images_without_any(tmp_path: Path) -> None:
    data = load(write(tmp_path, [[4, 5, 20, 30], [10, 10, 8, 8]]), tmp_path / "images")
    assert len(data) == 1
    boxes = [instance["bbox"] for instance in data.get_data_info(0)["instances"]]
    assert boxes == [[4, 5, 24, 35], [10, 10, 18, 18]]


def test_clusters_become_labels(tmp_path: Path) -> None:
    names = ("cluster_0", "cluster_1", "cluster_2")
    data = load(write(tmp_path, [[0, 0, 20, 20]] * 3, names), tmp_path / "images")
    assert [i["bbox_label"] for i in data.get_data_info(0)["instances"]] == [0, 1, 2]
    assert data.metainfo["classes"] == names


def test_a_missing_file_names_the_tool_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json.*make_proposals"):
        load(tmp_path / "nowhere.json", tmp_path)


def test_proposals_of_other_images_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, [[0, 0, 20, 20]])
    with pytest.raises(FileNotFoundError, match=r"do not belong to the images in .*elsewhere"):
        load(path, tmp_path / "elsewhere")


def test_zero_proposals_everywhere_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no proposals.*--min-side"):
        load(write(tmp_path, []), tmp_path / "images")
