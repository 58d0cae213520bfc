"""Inputs of the operator tests; the switch between stand-in and compiled operators under mmcv's functions."""

import importlib
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from types import ModuleType

import mmcv.ops
import pytest
import torch
from torch import Tensor

from aligndet.ops.finder import EXTENSION, StandInLoader, compiled_spec

Case = tuple[Callable[..., Tensor], list[Tensor]]
SUBMODULES = ["roi_align", "deform_conv", "modulated_deform_conv", "focal_loss", "multi_scale_deform_attn"]
SUBMODULES += ["nms", "masked_conv", "carafe", "deform_roi_pool"]


def load_stand_in() -> ModuleType:
    spec = ModuleSpec(EXTENSION, StandInLoader())
    module = module_from_spec(spec)
    StandInLoader().exec_module(module)
    return module


def use(extension: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SUBMODULES:
        monkeypatch.setattr(sys.modules[f"mmcv.ops.{name}"], "ext_module", extension)


def rand(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64)


def roi_align_case(ratio: int = 2, aligned: bool = True) -> Case:
    rois = torch.tensor([[0, 1.3, 2.1, 17.0, 12.2], [1, -4.0, 3.3, 30.0, 40.0], [0, 5.0, 5.0, 5.2, 5.1]])
    return lambda x: mmcv.ops.roi_align(x, rois.to(x), (3, 2), 0.5, ratio, "avg", aligned), [rand(2, 4, 9, 8)]


def deform_roi_case(ratio: int = 2) -> Case:
    rois = torch.tensor([[0, 1.3, 2.1, 15.0, 12.2], [1, 3.0, 3.3, 12.0, 17.0], [0, 5.0, 5.0, 5.2, 5.1]])
    inputs = [rand(2, 4, 9, 8), 2 * rand(3, 2, 3, 2) - 1]
    return lambda x, o: mmcv.ops.deform_roi_pool(x, rois.to(x), o, (3, 2), 0.5, ratio, 0.1), inputs


def deform_case(groups: int = 2, deform_groups: int = 2) -> Case:
    inputs = [rand(2, 4, 6, 7), 3 * rand(2, 18 * deform_groups, 3, 4) - 1.5, rand(6, 4 // groups, 3, 3)]
    return lambda x, o, w: mmcv.ops.deform_conv2d(x, o, w, 2, 1, 1, groups, deform_groups), inputs


def modulated_case(extra: int = 0) -> Case:
    """``extra`` rows and columns make the offset maps larger than the output, as DyHead does."""
    size = (4 + extra, 5 + extra)
    inputs = [rand(2, 4, 4, 5), 3 * rand(2, 18, *size) - 1.5, rand(2, 9, *size), rand(6, 4, 3, 3), rand(6)]
    return lambda x, o, m, w, b: mmcv.ops.modulated_deform_conv2d(x, o, m, w, b, 1, 1, 1, 1, 1), inputs


def sigmoid_focal_case() -> Case:
    target, weight, logits = torch.tensor([0, 3, 2, 4]), rand(4), 4 * rand(4, 4) - 2
    return lambda x: mmcv.ops.sigmoid_focal_loss(x, target, 2.0, 0.25, weight.to(x), "none"), [logits]


def softmax_focal_case() -> Case:
    # summed: without reduction mmcv multiplies the gradient along the wrong axis
    target, weight, logits = torch.tensor([0, 3, 2, 1]), rand(4), 4 * rand(4, 4) - 2
    return lambda x: mmcv.ops.softmax_focal_loss(x, target, 2.0, 0.25, weight.to(x), "sum"), [logits]


def attention_case() -> Case:
    shapes, starts = torch.tensor([[4, 5], [2, 3]]), torch.tensor([0, 20])
    apply = importlib.import_module("mmcv.ops.multi_scale_deform_attn").MultiScaleDeformableAttnFunction.apply
    inputs = [rand(2, 26, 2, 3), 1.4 * rand(2, 5, 2, 2, 4, 2) - 0.2, rand(2, 5, 2, 2, 4)]
    return lambda v, p, w: apply(v, shapes, starts, p, w, 64), inputs


def carafe_case() -> Case:
    return lambda x, m: mmcv.ops.carafe(x, m, 3, 2, 2), [rand(1, 4, 3, 4), rand(1, 18, 6, 8)]


def on_the_kink_case() -> Case:
    """Zero offsets: border samples lie exactly one pixel outside, where the value has a kink."""
    function, inputs = modulated_case()
    return function, [inputs[0], torch.zeros_like(inputs[1]), *inputs[2:]]


CASES: dict[str, Callable[[], Case]] = {
    "roi_align": roi_align_case,
    "roi_align_adaptive": lambda: roi_align_case(0),
    "roi_align_old": lambda: roi_align_case(2, False),
    "deform_roi_pool": deform_roi_case,
    "deform_roi_pool_adaptive": lambda: deform_roi_case(0),
    "deform_conv": deform_case,
    "deform_conv_plain": lambda: deform_case(1, 1),
    "modulated": modulated_case,
    "modulated_large_offsets": lambda: modulated_case(3),
    "sigmoid_focal": sigmoid_focal_case,
    "softmax_focal": softmax_focal_case,
    "ms_deform_attn": attention_case,
    "carafe": carafe_case,
}


def compiled() -> ModuleType:
    if compiled_spec(mmcv.__path__) is None:
        pytest.skip("this mmcv has no compiled operators")
    return importlib.import_module(EXTENSION)


def boxes(count: int = 80) -> tuple[Tensor, Tensor]:
    corner = 40 * torch.rand(count, 2)
    return torch.cat([corner, corner + 5 + 30 * torch.rand(count, 2)], 1), torch.rand(count)
