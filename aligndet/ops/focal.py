"""Focal losses in mmcv's calling convention, value and gradient.

mmdet calls these operators on CUDA only; on the CPU it has its own torch form. Shapes: N rows, C classes.
``target`` is (N,) int64; ``C`` means background in the sigmoid form, a negative label is ignored in the
softmax form. ``weight`` is (C,) per class or empty; background rows of the sigmoid form have weight 1.
Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equation 5.
"""

import torch
from torch import Tensor

from aligndet.ops.replay import full

TINY = torch.finfo(torch.float32).tiny


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Loss of every logit, (N, C), written into ``output``."""
    p, hit = full(input).sigmoid(), _one_hot(target, input.shape[1])
    positive = -alpha * (1 - p) ** gamma * _log(p)
    negative = -(1 - alpha) * p**gamma * _log(1 - p)
    output.copy_(torch.where(hit, positive, negative) * _row_weight(target, weight, p))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Derivative of every loss after its logit, (N, C), written into ``grad_input``."""
    p, hit = full(input).sigmoid(), _one_hot(target, input.shape[1])
    positive = -alpha * (1 - p) ** gamma * (1 - p - gamma * p * _log(p))
    negative = -(1 - alpha) * p**gamma * (gamma * (1 - p) * _log(1 - p) - p)
    grad_input.copy_(torch.where(hit, positive, negative) * _row_weight(target, weight, p))


def softmax_focal_loss_forward(
    input_softmax: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Loss of every row, (N,), written into ``output``; ``input_softmax`` (N, C) holds probabilities."""
    p, row_weight = _of_label(input_softmax, target, weight)
    output.copy_(-alpha * (1 - p) ** gamma * _log(p) * row_weight)


def softmax_focal_loss_backward(
    input_softmax: Tensor,
    target: Tensor,
    weight: Tensor,
    buff: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Derivative of the losses after the logits, (N, C), into ``grad_input``; ``buff`` (N,) is scratch."""
    p, row_weight = _of_label(input_softmax, target, weight)
    rest = 1 - p
    # (1 - p) ** (gamma - 1) is infinite at p = 1 for gamma < 1, where the whole term is zero
    slope = gamma * rest.clamp(min=TINY) ** (gamma - 1) * p * _log(p)
    buff.copy_(alpha * (slope - rest**gamma) * row_weight)
    hit = _one_hot(target, input_softmax.shape[1]).to(buff.dtype)
    grad_input.copy_(buff[:, None] * (hit - input_softmax))


def _one_hot(target: Tensor, classes: int) -> Tensor:
    """(N, C) bool; a row whose label is no class is all false."""
    return target[:, None] == torch.arange(classes, device=target.device)


def _log(p: Tensor) -> Tensor:
    return p.clamp(min=TINY).log()


def _row_weight(target: Tensor, weight: Tensor, like: Tensor) -> Tensor:
    """(N, 1) weight of each row's label."""
    if weight.numel() == 0:
        return like.new_ones(())
    padded = torch.cat([full(weight), weight.new_ones(1, dtype=like.dtype)])
    return padded[target.clamp(max=weight.numel())][:, None]


def _of_label(input_softmax: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Probability (N,) and weight (N,) of each row's label; a negative label has weight 0."""
    label = target.clamp(min=0)
    p = full(input_softmax).gather(1, label[:, None])[:, 0]
    row_weight = full(weight)[label] if weight.numel() else torch.ones_like(p)
    return p, row_weight * (target >= 0)
