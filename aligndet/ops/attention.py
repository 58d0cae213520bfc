"""Multi-scale deformable attention in mmcv's calling convention (mmcv calls the operator on CUDA only).

Shapes: B images, K keys of all levels, Q queries, M heads, D channels per head, L levels, P points.
Source: Zhu et al., Deformable DETR, ICLR 2021, equation 3.
"""

from torch import Tensor

from aligndet.ops.replay import full, gradients


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Weighted sum of bilinear samples.

    Args:
        value: (B, K, M, D).
        value_spatial_shapes: (L, 2), height and width of each level.
        value_level_start_index: unused, it follows from the shapes.
        sampling_locations: (B, Q, M, L, P, 2), x and y in [0, 1] of the level.
        attention_weights: (B, Q, M, L, P).
        im2col_step: unused (batching of the compiled kernel).

    Returns:
        (B, Q, M * D).
    """
    tensors = [full(tensor) for tensor in (value, sampling_locations, attention_weights)]
    return _attend(value_spatial_shapes, *tensors).to(value.dtype)


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Gradients of :func:`ms_deform_attn_forward`, written into the three ``grad_`` tensors."""

    def attend(*tensors: Tensor) -> Tensor:
        return _attend(value_spatial_shapes, *tensors)

    inputs = (value, sampling_locations, attention_weights)
    results = gradients(attend, inputs, grad_output)
    for written, result in zip((grad_value, grad_sampling_loc, grad_attn_weight), results, strict=True):
        written.copy_(result)


def _attend(shapes: Tensor, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    # imported late: mmcv.ops itself imports this stand-in
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    return multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)
