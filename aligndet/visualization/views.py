"""Two views of an image side by side, the boxes of one instance in one colour in both."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from aligndet.common.errors import InputError
from aligndet.visualization.drawing import caption, draw_boxes, fit, instance_colour, montage

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
        InputError: the sample has no instance ids: its pipeline does not number the proposals.
    """
    instances = sample.gt_instances
    if "instance_ids" not in instances:
        raise InputError(
            "gt_instances has no instance_ids: give a pre-training config, "
            "whose pipeline has aligndet.NumberProposals and aligndet.PackView"
        )
    corners = getattr(instances.bboxes, "tensor", instances.bboxes)
    return corners.cpu().numpy().reshape(-1, 4), instances.instance_ids.tolist()


def training_data(config: Any) -> Any:
    """The data set that a config trains on.

    Raises:
        InputError: it trains on none.
    """
    dataset = (config.get("train_dataloader") or {}).get("dataset")
    if dataset is None:
        raise InputError("the config has no train_dataloader.dataset: give the config of a pre-training")
    return dataset


def draw_training_views(config: Any, count: int = 4, long_side: int = 1000, seed: int = 0) -> np.ndarray:
    """Draw ``count`` pairs of views of a pre-training config's own data, one below the other.

    Args:
        config: with ``train_dataloader.dataset``; built in its ``default_scope``.
        count: images, drawn at random.
        long_side: of a pair, in pixels.
        seed: of the choice of images and of the views.
    """
    from mmengine.registry import DATASETS
    from mmengine.runner import set_random_seed

    from aligndet.scopes import scope_of

    with scope_of(config):
        dataset = DATASETS.build(training_data(config))
        set_random_seed(seed)
        chosen = np.random.default_rng(seed).permutation(len(dataset))[:count]
        return montage([fit(draw_views(dataset[int(i)]), long_side) for i in chosen], columns=1)
