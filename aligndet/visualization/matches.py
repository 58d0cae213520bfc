"""Which boxes the detector's own matching gives slots to, in both views of training images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from aligndet.box_domain.slots import IMAGE_STRIDE
from aligndet.visualization.drawing import caption, draw_boxes, fit, instance_colour, montage
from aligndet.visualization.views import BRANCHES, THICK, THIN, training_data, view_boxes

Counts = dict[str, list[Counter[int]]]


def slot_counts(pretrainer: Any, items: list[Mapping[str, Any]]) -> Counts:
    """Count the slots of every instance, by view and image, in one step of a pre-trainer.

    Args:
        pretrainer: a ``BoxDomainPretrainer``.
        items: of its data set, each with ``inputs`` and ``data_samples`` of both views; their ids change.
    """
    import torch
    from mmengine.dataset import pseudo_collate

    from aligndet.box_domain.pretrainer import number_instances

    data = pretrainer.data_preprocessor(pseudo_collate(items), True)
    networks = {
        "online": (pretrainer.online_adapter, pretrainer.online),
        "momentum": (pretrainer.momentum_adapter, pretrainer.momentum),
    }
    counts: Counts = {}
    for branch, (adapter, network) in networks.items():
        number_instances(data["data_samples"][branch])
        with torch.no_grad():
            slots, _ = adapter(network, data["inputs"][branch], data["data_samples"][branch])
        counts[branch] = [Counter() for _ in items]
        for number in slots.ids[slots.ids >= 0].tolist():
            counts[branch][number // IMAGE_STRIDE][number % IMAGE_STRIDE] += 1
    return counts


def draw_matches(
    images: Mapping[str, np.ndarray],
    boxes: Mapping[str, tuple[np.ndarray, list[int]]],
    counts: Mapping[str, Counter[int]],
) -> np.ndarray:
    """Draw both views of an image; an instance with slots in both is thick; its corner counts its slots.

    Args:
        images: (H, W, 3) uint8 BGR by view.
        boxes: (n, 4) xyxy and n instance ids by view.
        counts: slots by instance id, by view.
    """
    both = set(counts["online"]) & set(counts["momentum"])
    views = []
    for branch in BRANCHES:
        corners, ids = boxes[branch]
        colours = [instance_colour(number) for number in ids]
        lines = [THICK if number in both else THIN for number in ids]
        drawn = draw_boxes(images[branch], corners, colours, lines)
        for corner, number, colour in zip(corners, ids, colours, strict=True):
            place = (max(0, int(corner[0])) + 2, max(0, int(corner[1])) + 12)
            text = str(counts[branch][number])
            cv2.putText(drawn, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
        said = (
            f"{branch}: {len(ids)} boxes, {counts[branch].total()} slots, {len(both)} boxes matched in both"
        )
        views.append(caption(drawn, said))
    return montage(views, columns=2)


def draw_training_matches(
    config: Any,
    count: int = 4,
    long_side: int = 1000,
    seed: int = 0,
    weights: Mapping[str, Any] | None = None,
) -> tuple[np.ndarray, Counts]:
    """Draw ``count`` images of a pre-training config's own data with the slots that its detector matches.

    Args:
        config: of a pre-training; built in its ``default_scope``.
        count: images, drawn at random.
        long_side: of a pair of views, in pixels.
        seed: of the choice of images, of the views and of random weights.
        weights: state dict of the pre-trainer; None: as the config initialises it.
    """
    from mmengine.registry import DATASETS, MODELS
    from mmengine.runner import set_random_seed

    from aligndet.scopes import scope_of

    set_random_seed(seed)
    with scope_of(config):
        pretrainer = MODELS.build(config.model)
    pretrainer.init_weights()
    if weights is not None:
        pretrainer.load_state_dict(weights)
    with scope_of(config):
        dataset = DATASETS.build(training_data(config))
        chosen = np.random.default_rng(seed).permutation(len(dataset))[:count]
        items = [dataset[int(number)] for number in chosen]
    boxes = [{branch: view_boxes(item["data_samples"][branch]) for branch in BRANCHES} for item in items]
    images = [{branch: _pixels(item, branch) for branch in BRANCHES} for item in items]
    counts = slot_counts(pretrainer.train(), items)
    pictures = [
        fit(draw_matches(images[i], boxes[i], {b: counts[b][i] for b in BRANCHES}), long_side)
        for i in range(len(items))
    ]
    return montage(pictures, columns=1), counts


def _pixels(item: Mapping[str, Any], branch: str) -> np.ndarray:
    pixels: np.ndarray = item["inputs"][branch].permute(1, 2, 0).cpu().numpy().astype(np.uint8)
    return pixels
