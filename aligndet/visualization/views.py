"""Two views of an image side by side, the boxes of one instance in one colour in both."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from aligndet.visualization.drawing import caption, draw_boxes, instance_colour, montage

BRANCHES = ("online", "momentum")
THICK, THIN = 2, 1


def draw_views(item: Mapping[str, Any]) -> np.ndarray:
    """Picture of one item of a pre-training data set.

    Boxes that both views hold are thick, those that only one kept are thin.

    Args:
        item: ``inputs`` and ``data_samples``, each with the branches ``online`` and ``momentum``: a (3, H, W)
            uint8 BGR tensor, and a DetDataSample whose gt_instances have ``bboxes`` and ``instance_ids``.

    Returns:
        (H, W, 3) uint8, BGR; above each view the number of its boxes.
    """
    boxes = {branch: view_boxes(item["data_samples"][branch]) for branch in BRANCHES}
    matched = set(boxes["online"][1]) & set(boxes["momentum"][1])
    views = []
    for branch in BRANCHES:
        corners, ids = boxes[branch]
        image = item["inputs"][branch].permute(1, 2, 0).cpu().numpy().astype(np.uint8)
        lines = [THICK if number in matched else THIN for number in ids]
        drawn = draw_boxes(image, corners, [instance_colour(number) for number in ids], lines)
        views.append(caption(drawn, f"{branch}: {len(ids)} boxes, {len(matched)} matched"))
    return montage(views, columns=2)


def view_boxes(sample: Any) -> tuple[np.ndarray, list[int]]:
    """(n, 4) xyxy boxes and instance ids of a DetDataSample; a view without boxes gives none.

    Raises:
        ValueError: the sample has no instance ids: its pipeline does not number the proposals.
    """
    instances = sample.gt_instances
    if "instance_ids" not in instances:
        raise ValueError(
            "gt_instances has no instance_ids: give a pre-training config, "
            "whose pipeline has aligndet.NumberProposals and aligndet.PackView"
        )
    corners = getattr(instances.bboxes, "tensor", instances.bboxes)
    return corners.cpu().numpy().reshape(-1, 4), instances.instance_ids.tolist()
