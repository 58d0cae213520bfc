"""Generated images and proposals, as the data loader gives them to a pre-trainer."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor

#: Sides of generated proposals, as parts of the image's.
SMALLEST, LARGEST = 0.2, 0.5


def generated_batch(images: int = 2, size: int = 128, boxes: int = 6, seed: int = 0) -> dict[str, Any]:
    """Generate square images of noise in two views, the momentum one mirrored.

    Args:
        images: in the batch.
        size: side of the images, pixels.
        boxes: proposals per image.
        seed: the same seed gives the same batch.

    Returns:
        ``inputs`` and ``data_samples``, each with the lists ``online`` and ``momentum``: images
        ``(3, size, size)`` uint8; samples with xyxy ``bboxes`` in pixels, ``labels`` and ``instance_ids``.
    """
    generator = torch.Generator().manual_seed(seed)
    pixels = [
        torch.randint(0, 256, (3, size, size), generator=generator, dtype=torch.uint8) for _ in range(images)
    ]
    proposals = [_boxes(boxes, size, generator) for _ in range(images)]
    mirrored = [_mirror(one, size) for one in proposals]
    return {
        "inputs": {"online": pixels, "momentum": [image.flip(2) for image in pixels]},
        "data_samples": {
            "online": [_sample(one, size) for one in proposals],
            "momentum": [_sample(one, size) for one in mirrored],
        },
    }


def _boxes(count: int, size: int, generator: torch.Generator) -> Tensor:
    sides = size * (SMALLEST + (LARGEST - SMALLEST) * torch.rand(count, 2, generator=generator))
    corner = torch.rand(count, 2, generator=generator) * (size - sides)
    return torch.cat([corner, corner + sides], 1)


def _mirror(boxes: Tensor, width: int) -> Tensor:
    return torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)


def _sample(boxes: Tensor, size: int) -> DetDataSample:
    shape = (size, size)
    sample = DetDataSample(metainfo={"img_shape": shape, "ori_shape": shape, "scale_factor": (1.0, 1.0)})
    ids = torch.arange(len(boxes))
    sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.zeros_like(ids), instance_ids=ids)
    sample.ignored_instances = InstanceData(bboxes=boxes[:0], labels=ids[:0])
    return sample
