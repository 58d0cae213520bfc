"""What the pure-torch operators share: number formats and gradients by running the forward again."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

HALVES = (torch.float16, torch.bfloat16)


def full(tensor: Tensor) -> Tensor:
    """``tensor`` in float32 if it is half precision (many torchvision kernels have no half form)."""
    return tensor.float() if tensor.dtype in HALVES else tensor


def gradients(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], grad_output: Tensor
) -> tuple[Tensor, ...]:
    """Gradient of ``(function(*inputs) * grad_output).sum()`` for every input, by one more forward run.

    Args:
        function: differentiable function of the inputs, computed in at least float32.
        inputs: floating tensors of any shape.
        grad_output: same shape as the function's result.
    """
    with torch.enable_grad(), torch.autocast(grad_output.device.type, enabled=False):
        leaves = [full(tensor.detach()).requires_grad_() for tensor in inputs]
        result = function(*leaves)
        return torch.autograd.grad(result, leaves, grad_output.to(result.dtype))
