"""CARAFE upsampling in mmcv's calling convention (used by FPN_CARAFE and CARAFE mask heads).

Shapes: features (B, C, H, W); masks (B, G * k * k, s * H, s * W); output (B, C, s * H, s * W), with G groups,
kernel size k and scale factor s. Every output pixel is a mask-weighted sum over the k x k neighbourhood of
its source pixel.
Source: Wang et al., CARAFE, ICCV 2019, equation 2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from aligndet.ops.replay import full, gradients


def carafe_naive_forward(features: Tensor, masks: Tensor, output: Tensor, **options: int) -> None:
    """Upsample ``features`` into ``output``; ``options`` are kernel_size, group_size and scale_factor."""
    output.copy_(_reassemble(full(features), full(masks), **options))


def carafe_naive_backward(
    grad_output: Tensor,
    features: Tensor,
    masks: Tensor,
    grad_input: Tensor,
    grad_masks: Tensor,
    **options: int,
) -> None:
    """Gradients for features and masks, written into ``grad_input`` and ``grad_masks``."""

    def reassemble(features: Tensor, masks: Tensor) -> Tensor:
        return _reassemble(features, masks, **options)

    results = gradients(reassemble, (features, masks), grad_output)
    grad_input.copy_(results[0])
    grad_masks.copy_(results[1])


def carafe_forward(
    features: Tensor,
    masks: Tensor,
    rfeatures: Tensor,
    routput: Tensor,
    rmasks: Tensor,
    output: Tensor,
    **options: int,
) -> None:
    """As the naive form; ``rfeatures`` keeps the features for the backward pass, other buffers are unused."""
    rfeatures.copy_(features)
    carafe_naive_forward(features, masks, output, **options)


def carafe_backward(
    grad_output: Tensor,
    rfeatures: Tensor,
    masks: Tensor,
    rgrad_output: Tensor,
    rgrad_input_hs: Tensor,
    rgrad_input: Tensor,
    rgrad_masks: Tensor,
    grad_input: Tensor,
    grad_masks: Tensor,
    **options: int,
) -> None:
    """As the naive form, with the features that :func:`carafe_forward` kept in ``rfeatures``."""
    carafe_naive_backward(grad_output, rfeatures, masks, grad_input, grad_masks, **options)


def _reassemble(
    features: Tensor, masks: Tensor, kernel_size: int, group_size: int, scale_factor: int
) -> Tensor:
    batch, channels, height, width = features.shape
    patches = F.unfold(features, kernel_size, padding=kernel_size // 2)
    patches = patches.view(batch, group_size, channels // group_size, kernel_size**2, height, width)
    sizes = (height, scale_factor, width, scale_factor)
    weights = masks.view(batch, group_size, kernel_size**2, *sizes)
    return torch.einsum("bgckhw,bgkhiwj->bgchiwj", patches, weights).reshape(
        batch, channels, scale_factor * height, scale_factor * width
    )
