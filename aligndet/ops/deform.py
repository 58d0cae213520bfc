"""Deformable convolutions, version 1 (offsets) and 2 (offsets and mask), in mmcv's calling convention.

Shapes: input (B, C, H, W); weight (O, C / groups, kh, kw); output (B, O, H', W'); offset
(B, 2 * G * kh * kw, H', W') with y and x of each kernel point in pixels; mask (B, G * kh * kw, H', W');
G deformable groups.
Source: Dai et al., Deformable Convolutional Networks, ICCV 2017; Zhu et al., Deformable ConvNets v2, 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import Tensor

from aligndet.ops.replay import full


class Geometry(NamedTuple):
    """Integer options of one convolution, in the order torchvision's kernel takes them."""

    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    dilation_h: int
    dilation_w: int
    groups: int
    deform_groups: int

    @classmethod
    def of_version_1(cls, options: Mapping[str, int]) -> Geometry:
        """Read mmcv's options ``dH``, ``dW``, ``padH``, ``padW``, ``dilationH``, ``dilationW`` and groups."""
        names = [f"{name}{side}" for name in ("d", "pad", "dilation") for side in "HW"]
        return cls._make(options[name] for name in [*names, "group", "deformable_group"])

    @classmethod
    def of_version_2(cls, options: Mapping[str, int]) -> Geometry:
        """Read mmcv's options ``stride_h``, ``stride_w``, ``pad_h`` and so on."""
        names = [f"{name}_{side}" for name in ("stride", "pad", "dilation") for side in "hw"]
        return cls._make(options[name] for name in [*names, "group", "deformable_group"])


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    **options: int,
) -> None:
    """Version 1, without bias; ``output`` is written, the buffers are unused; see :class:`Geometry`."""
    geometry = Geometry.of_version_1(options)
    output.copy_(_forward(input, weight, offset, None, None, output.shape, geometry))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    **options: int,
) -> None:
    """Gradients of version 1 for input and offset, written into ``grad_input`` and ``grad_offset``."""
    geometry = Geometry.of_version_1(options)
    grads = _backward(grad_output, input, weight, offset, None, geometry)
    grad_input.copy_(grads[0])
    _put_window(grad_offset, grads[2])


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    scale: float,
    **options: int,
) -> None:
    """Gradient of version 1 for the weight, times ``scale``, added to ``grad_weight``."""
    geometry = Geometry.of_version_1(options)
    # torchvision has one kernel for all gradients; the weight is only read for its shape here
    grads = _backward(grad_output, input, grad_weight, offset, None, geometry)
    grad_weight.add_(grads[1].to(grad_weight.dtype), alpha=scale)


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    with_bias: bool,
    **options: int,
) -> None:
    """Version 2; ``output`` is written, the buffers are unused."""
    geometry = Geometry.of_version_2(options)
    output.copy_(_forward(input, weight, offset, mask, bias if with_bias else None, output.shape, geometry))


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    with_bias: bool,
    **options: int,
) -> None:
    """Gradients of version 2, written into the five ``grad_`` tensors (``grad_bias`` only ``with_bias``)."""
    geometry = Geometry.of_version_2(options)
    grads = _backward(grad_output, input, weight, offset, mask, geometry)
    grad_input.copy_(grads[0])
    grad_weight.copy_(grads[1])
    _put_window(grad_offset, grads[2])
    _put_window(grad_mask, grads[3])
    if with_bias:
        grad_bias.copy_(grad_output.sum((0, 2, 3)))


def _forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    output_shape: torch.Size,
    geometry: Geometry,
) -> Tensor:
    x, w = full(input), full(weight)
    offset = _window(full(offset), output_shape, "offset")
    used_mask = _no_mask(x) if mask is None else _window(full(mask), output_shape, "mask")
    used_bias = x.new_zeros(len(w)) if bias is None else full(bias)
    return torch.ops.torchvision.deform_conv2d(
        x, w, offset, used_mask, used_bias, *geometry, mask is not None
    )


def _backward(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    geometry: Geometry,
) -> tuple[Tensor, ...]:
    """Gradients for input, weight, offset and mask; the last two in the output's height and width."""
    grad, x, w = full(grad_output).contiguous(), full(input), full(weight)
    offset = _window(full(offset), grad.shape, "offset")
    used_mask = _no_mask(x) if mask is None else _window(full(mask), grad.shape, "mask")
    bias = x.new_zeros(len(w))
    kernel = torch.ops.torchvision._deform_conv2d_backward
    grads = kernel(grad, x, w, offset, used_mask, bias, *geometry, mask is not None)
    return (*grads[:2], grads[2].masked_fill(_on_edge(offset, w.shape, geometry), 0), grads[3])


def _on_edge(offset: Tensor, weight_shape: torch.Size, geometry: Geometry) -> Tensor:
    """Offsets (bool, same shape) that put a sample exactly one pixel before the first row or column.

    There the value has a kink, and with offsets that start at zero many samples lie on it. torchvision gives
    such an offset the slope inside the image, mmcv the slope outside, which is zero.
    """
    stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, _, groups = geometry
    kernel_h, kernel_w = weight_shape[2:]
    height, width = offset.shape[2:]
    flow = offset.reshape(len(offset), groups, kernel_h, kernel_w, 2, height, width)
    y, x = (
        torch.arange(kernel, device=offset.device)[:, None] * dilation
        - pad
        + torch.arange(size, device=offset.device) * stride
        for kernel, size, stride, pad, dilation in (
            (kernel_h, height, stride_h, pad_h, dilation_h),
            (kernel_w, width, stride_w, pad_w, dilation_w),
        )
    )  # without offset: (kernel_h, H') and (kernel_w, W')
    above = flow[..., 0, :, :] + y[:, None, :, None] == -1
    left = flow[..., 1, :, :] + x[:, None, :] == -1
    return torch.stack([above, left], dim=4).view(offset.shape)


def _no_mask(like: Tensor) -> Tensor:
    return like.new_zeros(len(like), 0)


def _window(tensor: Tensor, output_shape: torch.Size, name: str) -> Tensor:
    """Offset or mask in the output's height and width, as mmcv's kernel reads them.

    DyHead hands over maps larger than the output. mmcv's kernel does not look at their size: it walks each
    image's memory with the strides of the output, so it reads the first values in memory order. Weights
    trained with mmcv expect exactly that, so it is done here too (a crop would give other numbers).

    Raises:
        ValueError: the map is smaller than the output (mmcv would read foreign memory).
    """
    size = (tensor.shape[1], *output_shape[2:])
    needed = size[0] * size[1] * size[2]
    flat = tensor.reshape(len(tensor), -1)
    if tensor.shape[2:] == size[1:]:
        return tensor
    if flat.shape[1] < needed:
        raise ValueError(
            f"deformable convolution: {name} is {tuple(tensor.shape[2:])} but the output is {size[1:]} "
            f"(height, width); {name} must be at least as large: check the stride of the layer that makes it."
        )
    return flat[:, :needed].reshape(len(tensor), *size)


def _put_window(written: Tensor, result: Tensor) -> None:
    """Inverse of :func:`_window` for gradients; the part that was not read keeps its zeros."""
    flat = result.reshape(len(result), -1).to(written.dtype)
    written.view(len(written), -1)[:, : flat.shape[1]] = flat
