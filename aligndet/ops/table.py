"""The operators the stand-in has, by mmcv's names, and the answer for those it has not."""

from collections.abc import Callable
from typing import Any, NoReturn

import torchvision

from aligndet.ops import attention, boxes, carafe, deform, deform_roi, focal, masked, roi


def get_compiler_version() -> str:
    """What stands for the C++ compiler in mmcv's environment report."""
    return f"none (aligndet stand-in on torchvision {torchvision.__version__})"


def get_compiling_cuda_version() -> str:
    """What stands for the CUDA compiler in mmcv's environment report."""
    return "not available"


OPERATORS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        attention.ms_deform_attn_backward,
        attention.ms_deform_attn_forward,
        boxes.nms,
        boxes.nms_match,
        boxes.softnms,
        carafe.carafe_backward,
        carafe.carafe_forward,
        carafe.carafe_naive_backward,
        carafe.carafe_naive_forward,
        deform.deform_conv_backward_input,
        deform.deform_conv_backward_parameters,
        deform.deform_conv_forward,
        deform.modulated_deform_conv_backward,
        deform.modulated_deform_conv_forward,
        deform_roi.deform_roi_pool_backward,
        deform_roi.deform_roi_pool_forward,
        focal.sigmoid_focal_loss_backward,
        focal.sigmoid_focal_loss_forward,
        focal.softmax_focal_loss_backward,
        focal.softmax_focal_loss_forward,
        get_compiler_version,
        get_compiling_cuda_version,
        masked.masked_col2im_forward,
        masked.masked_im2col_forward,
        roi.roi_align_backward,
        roi.roi_align_forward,
    )
}


def missing_operator(name: str) -> Callable[..., NoReturn]:
    """Module ``__getattr__`` of the stand-in: a function that raises when it is called, so that imports work.

    Raises:
        AttributeError: ``name`` is private, hence no operator (Python itself asks for such names).
    """
    if name.startswith("_"):
        raise AttributeError(f"module 'mmcv._ext' (stand-in of aligndet) has no attribute {name!r}")

    def operator(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(
            f"mmcv operator {name!r} is not in aligndet's stand-in for mmcv's compiled operators. "
            "Build the compiled ones with `make setup OPS=compiled` (needs a C++ compiler; ten minutes)."
        )

    operator.__name__ = name
    return operator
