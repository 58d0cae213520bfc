"""InsLoc's composites: both views of an image, their true boxes, and boxes the query may look at instead."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from aligndet.common.errors import InputError
from aligndet.visualization.drawing import Colour, caption, draw_boxes, montage
from aligndet.visualization.views import training_data

BRANCHES = ("query", "key")
TRUE: Colour = (60, 220, 60)  # BGR
AUGMENTED: Colour = (40, 170, 255)


def draw_composites(item: Mapping[str, Any], augmented: np.ndarray | None = None) -> np.ndarray:
    """Picture of one item of an InsLoc data set, query on the left and key on the right.

    The true boxes are thick and green. Augmented boxes, thin and orange, are the query's alone: the key
    always looks at the true one. They may reach over the image, where they are clipped.

    Args:
        item: ``inputs`` and ``data_samples``, each with the branches ``query`` and ``key``: a (3, H, W) uint8
            BGR tensor, and a DetDataSample with one box.
        augmented: (n, 4) xyxy boxes drawn for the query, or None.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    others = np.zeros((0, 4)) if augmented is None else np.asarray(augmented, dtype=np.float64).reshape(-1, 4)
    views = []
    for branch in BRANCHES:
        image = item["inputs"][branch].permute(1, 2, 0).cpu().numpy().astype(np.uint8)
        true = true_box(item, branch)
        extra = others if branch == "query" else others[:0]
        drawn = draw_boxes(image, extra, [AUGMENTED] * len(extra), thickness=1)
        drawn = draw_boxes(drawn, true, [TRUE], thickness=2)
        left, top, right, bottom = true[0].astype(int)
        text = f"{branch}: {right - left} x {bottom - top}"
        views.append(caption(drawn, text + (f", {len(extra)} augmented" if len(extra) else "")))
    return montage(views, columns=2)


def true_box(item: Mapping[str, Any], branch: str) -> np.ndarray:
    """(1, 4) xyxy float64: the pasted rectangle.

    Raises:
        InputError: the item has no such branch; its pipeline is not InsLoc's.
    """
    if branch not in item["data_samples"]:
        raise InputError(
            f"the data have no branch {branch!r}: give an InsLoc config, whose pipeline makes query and key"
        )
    corners = item["data_samples"][branch].gt_instances.bboxes
    corners = getattr(corners, "tensor", corners)
    return corners.cpu().numpy().reshape(-1, 4).astype(np.float64)


def draw_training_composites(
    config: Any, count: int = 6, columns: int = 2, augmented: int = 5, seed: int = 0
) -> np.ndarray:
    """Draw ``count`` items of an InsLoc config's own data in a grid.

    Args:
        config: with ``train_dataloader.dataset`` and, where boxes are augmented, ``model.box_augmentation``.
        count: images, drawn at random.
        columns: of the grid.
        augmented: boxes of the augmentation per image.
        seed: of the choice of images, of the views and boxes.
    """
    from mmengine.registry import DATASETS
    from mmengine.runner import set_random_seed

    from aligndet.image_domain.methods.insloc.box_augmentation import BoxAugmentation
    from aligndet.scopes import scope_of

    settings = config.get("model", {}).get("box_augmentation")
    with scope_of(config):
        dataset = DATASETS.build(training_data(config))
        augment = BoxAugmentation(**settings) if settings else None
        set_random_seed(seed)
        chosen = np.random.default_rng(seed).permutation(len(dataset))[:count]
        items = [dataset[int(number)] for number in chosen]
        pictures = [draw_composites(item, augmented_boxes(augment, item, augmented)) for item in items]
    return montage(pictures, columns=columns, gap=8)


def augmented_boxes(augment: Any, item: Mapping[str, Any], count: int) -> np.ndarray | None:
    """(count, 4) xyxy draws for the query's box; None where the config has no augmentation."""
    import torch

    if augment is None or count == 0:
        return None
    height, width = item["inputs"]["query"].shape[-2:]
    boxes = torch.from_numpy(true_box(item, "query")).float().repeat(count, 1)
    drawn: np.ndarray = augment(boxes, (height, width)).numpy()
    return drawn
