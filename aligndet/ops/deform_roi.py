"""Deformable RoI pooling in mmcv's calling convention: RoIAlign whose bins are moved by learnt offsets.

Shapes: input (B, C, H, W); rois (K, 5), image index in the batch and xyxy in pixels of the image; offset
(K, 2, h, w), x before y, in sizes of the region over gamma, or empty for none; output (K, C, h, w). Where
a sample is moved out of the map, its value stays and its slope is zero; mmcv's kernels keep a slope there.
mmcv has this operator on GPUs only.
Source: Dai et al., Deformable Convolutional Networks, ICCV 2017, section 2.2.
"""

from typing import Any

import torch
from torch import Tensor

from aligndet.ops.replay import full, gradients


def deform_roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    output: Tensor,
    **options: Any,
) -> None:
    """Write the average of bilinear samples in each moved bin into ``output``.

    Args:
        input, rois, offset, output: see the module.
        options: see :func:`_pool`.
    """
    output.copy_(_pool(full(input), rois, full(offset), **options))


def deform_roi_pool_backward(
    grad_output: Tensor,
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    **options: Any,
) -> None:
    """Gradients for features and offsets (unless empty), written into ``grad_input`` and ``grad_offset``."""

    def pool(features: Tensor, moves: Tensor = offset) -> Tensor:
        return _pool(features, rois, moves, **options)

    results = gradients(pool, (input, offset) if offset.numel() else (input,), grad_output)
    grad_input.copy_(results[0])
    if offset.numel():
        grad_offset.copy_(results[1])


def _pool(
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    *,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> Tensor:
    """Pool regions whose bins are moved.

    Args:
        input, rois, offset: see the module.
        pooled_height, pooled_width: bins.
        spatial_scale: features per pixel, for instance 1/8.
        sampling_ratio: samples per bin and side; 0 takes as many as the bin has feature cells.
        gamma: how far an offset of 1 moves a bin, in sizes of the region.
    """
    size, ratio = (pooled_height, pooled_width), sampling_ratio
    boxes = rois[:, 1:].to(input.dtype) * spatial_scale - 0.5
    start, extent = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    bins = extent / extent.new_tensor([size[1], size[0]])  # (K, 2), width and height
    rows, columns = (torch.arange(n, device=input.device, dtype=input.dtype) for n in size)
    steps = torch.stack(torch.broadcast_tensors(columns[None, :], rows[:, None]), -1)  # (h, w, 2)
    corners = start[:, None, None] + steps * bins[:, None, None]
    if offset.numel():
        corners = corners + gamma * extent[:, None, None] * offset.permute(0, 2, 3, 1)
    counts = torch.full_like(bins, ratio) if ratio > 0 else bins.ceil()
    output = input.new_zeros(len(rois), input.shape[1], *size)
    for across, down in counts.long().unique(dim=0).tolist():
        chosen = (counts == counts.new_tensor([across, down])).all(1).nonzero()[:, 0]
        if across <= 0 or down <= 0 or not len(chosen):
            continue
        x, y = (
            corners[chosen, :, :, axis, None]
            + ((torch.arange(n, device=input.device) + 0.5) / n * bins[chosen, axis, None])[:, None, None]
            for axis, n in ((0, across), (1, down))
        )  # (k, h, w, across) and (k, h, w, down)
        values = _sample(input, rois[chosen, 0].long(), y[..., :, None], x[..., None, :])
        output = output.index_copy(0, chosen, values.mean((3, 4)).permute(0, 3, 1, 2))
    return output


def _sample(input: Tensor, image: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Bilinear values (k, h, w, down, across, C) at points; zero more than a cell outside the map."""
    height, width = input.shape[2:]
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    top, left = y.detach().floor(), x.detach().floor()
    down, right = y - top, x - left
    cells, image = input.permute(0, 2, 3, 1), image[:, None, None, None, None]
    result: Tensor | float = 0.0
    for dy, weight_y in ((0, 1 - down), (1, down)):
        for dx, weight_x in ((0, 1 - right), (1, right)):
            row, column = (top + dy).clamp(max=height - 1).long(), (left + dx).clamp(max=width - 1).long()
            result = result + cells[image, row, column] * (weight_y * weight_x * inside)[..., None]
    assert isinstance(result, Tensor)
    return result
