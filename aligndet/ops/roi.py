"""RoIAlign in mmcv's calling convention: results are written into tensors the caller made."""

import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import Tensor

from aligndet.ops.replay import full

AVERAGE = 1


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Average of bilinear samples in each bin of each region.

    Args:
        input: (B, C, H, W) features.
        rois: (K, 5), image index in the batch and xyxy in pixels of the image.
        output: (K, C, aligned_height, aligned_width), written.
        argmax_y, argmax_x: unused (mmcv fills them for max pooling).
        spatial_scale: features per pixel, for instance 1/8.
        sampling_ratio: samples per bin and side; 0 takes as many as the bin has feature cells.
        pool_mode: 1 (average).
        aligned: shift by half a pixel (the correct form) or not (the older form).

    Raises:
        NotImplementedError: ``pool_mode`` is max.
    """
    _only_average(pool_mode)
    options = (spatial_scale, aligned_height, aligned_width, sampling_ratio, aligned)
    output.copy_(torch.ops.torchvision.roi_align(full(input), rois.to(full(input).dtype), *options))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Gradient of :func:`roi_align_forward` for the features, written into ``grad_input`` (B, C, H, W)."""
    _only_average(pool_mode)
    grad = full(grad_output)
    bins = (spatial_scale, aligned_height, aligned_width)
    options = (*bins, *grad_input.shape, sampling_ratio, aligned)
    grad_input.copy_(torch.ops.torchvision._roi_align_backward(grad, rois.to(grad.dtype), *options))


def _only_average(pool_mode: int) -> None:
    if pool_mode != AVERAGE:
        raise NotImplementedError(
            "roi_align with pool_mode='max' is not in the stand-in for mmcv's operators: use pool_mode='avg' "
            "in RoIAlign, or build the compiled operators with `make setup OPS=compiled`."
        )
