"""RoIAlign in mmcv's calling convention: results are written into tensors the caller made."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import Tensor

from aligndet.ops.replay import full

AVERAGE = 1


class Bins(NamedTuple):
    """How a region is cut into bins, in the words of mmcv's options.

    Attributes:
        aligned_height, aligned_width: bins of a region.
        spatial_scale: features per pixel, for instance 1/8.
        sampling_ratio: samples per bin and side; 0 takes as many as the bin has feature cells.
        pool_mode: 1 (average).
        aligned: shift by half a pixel (the correct form) or not (the older form).
    """

    aligned_height: int
    aligned_width: int
    spatial_scale: float
    sampling_ratio: int
    pool_mode: int
    aligned: bool

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Bins":
        """Read mmcv's options.

        Raises:
            NotImplementedError: ``pool_mode`` is max.
        """
        bins = cls(**options)
        if bins.pool_mode != AVERAGE:
            raise NotImplementedError(
                "roi_align with pool_mode='max' is not in the stand-in for mmcv's operators: use "
                "pool_mode='avg' in RoIAlign, or build the compiled operators with `make setup OPS=compiled`."
            )
        return bins


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    **options: Any,
) -> None:
    """Write the average of bilinear samples in each bin of each region.

    Args:
        input: (B, C, H, W) features.
        rois: (K, 5), image index in the batch and xyxy in pixels of the image.
        output: (K, C, aligned_height, aligned_width), written.
        argmax_y, argmax_x: unused (mmcv fills them for max pooling).
        options: see :class:`Bins`.

    Raises:
        NotImplementedError: ``pool_mode`` is max.
    """
    bins = Bins.of(options)
    args = (bins.spatial_scale, bins.aligned_height, bins.aligned_width, bins.sampling_ratio, bins.aligned)
    output.copy_(torch.ops.torchvision.roi_align(full(input), rois.to(full(input).dtype), *args))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    **options: Any,
) -> None:
    """Gradient of :func:`roi_align_forward` for the features, written into ``grad_input`` (B, C, H, W)."""
    bins, grad = Bins.of(options), full(grad_output)
    size = (bins.spatial_scale, bins.aligned_height, bins.aligned_width)
    args = (*size, *grad_input.shape, bins.sampling_ratio, bins.aligned)
    grad_input.copy_(torch.ops.torchvision._roi_align_backward(grad, rois.to(grad.dtype), *args))
