"""Every stand-in operator through mmcv's functions: against a literal definition and a numeric gradient."""

import math
from itertools import product

import mmcv.ops
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from tests.ops.ops_cases import (
    CASES,
    attention_case,
    carafe_case,
    load_stand_in,
    modulated_case,
    on_the_kink_case,
    rand,
    sigmoid_focal_case,
    use,
)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in under mmcv's functions, even where mmcv has compiled operators."""
    use(load_stand_in(), monkeypatch)
    torch.manual_seed(0)


def bilinear(plane: Tensor, y: float, x: float) -> Tensor:
    """Value of ``plane`` (H, W) at a point, zero outside."""
    value = plane.new_zeros(())
    for i, j in product((math.floor(y), math.floor(y) + 1), (math.floor(x), math.floor(x) + 1)):
        if 0 <= i < plane.shape[0] and 0 <= j < plane.shape[1]:
            value = value + plane[i, j] * (1 - abs(y - i)) * (1 - abs(x - j))
    return value


@pytest.mark.parametrize("name", CASES)
def test_gradient_is_the_numeric_one(name: str) -> None:
    function, inputs = CASES[name]()
    assert gradcheck(function, [tensor.requires_grad_() for tensor in inputs], fast_mode=True)


@pytest.mark.parametrize("aligned", [True, False])
def test_roi_align_averages_bilinear_samples(aligned: bool) -> None:
    x = rand(1, 1, 9, 8)
    low, shift = 2.0, 0.5 if aligned else 0.0
    box = [low, low, 8.0, 12.0]  # 3 x 5 cells at scale 0.5
    got = mmcv.ops.roi_align(x, torch.tensor([[0, *box]]).to(x), (2, 1), 0.5, 2, "avg", aligned)
    for row in range(2):
        ys = [1 - shift + row * 2.5 + 2.5 * (k + 0.5) / 2 for k in range(2)]
        xs = [1 - shift + 3.0 * (k + 0.5) / 2 for k in range(2)]
        wanted = sum(bilinear(x[0, 0], y, z) for y, z in product(ys, xs)) / 4
        assert torch.isclose(got[0, 0, row, 0], torch.as_tensor(wanted))


@pytest.mark.parametrize("ratio", [0, 2])
def test_deform_roi_pool_is_roi_align_with_moved_bins(ratio: int) -> None:
    """Without offsets RoIAlign; an offset of 0.5 with gamma 0.4 moves every bin by a fifth of the region."""
    x, empty = rand(2, 4, 20, 18), torch.zeros(0, dtype=torch.float64)
    rois = torch.tensor([[0, 6.0, 8.0, 16.0, 18.0], [1, 10.0, 4.0, 20.0, 24.0]], dtype=torch.float64)
    plain = mmcv.ops.roi_align(x, rois, (3, 2), 0.5, ratio, "avg", True)
    for offset in (empty, torch.zeros(2, 2, 3, 2).double()):
        assert torch.allclose(mmcv.ops.deform_roi_pool(x, rois, offset, (3, 2), 0.5, ratio, 0.4), plain)
    right = torch.stack([torch.full((2, 3, 2), 0.5), torch.zeros(2, 3, 2)], 1).double()
    moved = rois.clone()
    moved[:, 1::2] += 0.2 * (rois[:, 3] - rois[:, 1])[:, None]
    wanted = mmcv.ops.roi_align(x, moved, (3, 2), 0.5, ratio, "avg", True)
    assert torch.allclose(mmcv.ops.deform_roi_pool(x, rois, right, (3, 2), 0.5, ratio, 0.4), wanted)


def test_roi_align_by_maximum_is_refused() -> None:
    with pytest.raises(NotImplementedError, match=r"pool_mode='max'.*make setup OPS=compiled"):
        mmcv.ops.roi_align(rand(1, 1, 4, 4), rand(1, 5), 2, 1.0, 2, "max", True)


@pytest.mark.parametrize("extra", [0, 3])
def test_modulated_deform_conv_is_its_definition(extra: int) -> None:
    function, (x, offset, mask, weight, bias) = modulated_case(extra)
    got = function(x, offset, mask, weight, bias)
    b, o, h, w = 1, 4, 2, 3
    # a larger map is read in memory order, with the strides of the 4 x 5 output
    flow, gate = (t[b].flatten()[: n * 20].view(n, 4, 5) for t, n in ((offset, 18), (mask, 9)))
    wanted = bias[o]
    for k, (i, j) in enumerate(product(range(3), range(3))):
        y, z = h - 1 + i + float(flow[2 * k, h, w]), w - 1 + j + float(flow[2 * k + 1, h, w])
        wanted = wanted + sum(weight[o, c, i, j] * bilinear(x[b, c], y, z) * gate[k, h, w] for c in range(4))
    assert torch.isclose(got[b, o, h, w], wanted)


def test_slope_one_pixel_outside_is_zero() -> None:
    function, inputs = on_the_kink_case()
    offset = inputs[1].requires_grad_()
    grad = torch.autograd.grad(function(*inputs).sum(), offset)[0].view(2, 3, 3, 2, 4, 5)
    assert (grad[:, 0, 1, 0, 0] == 0).all()  # upper kernel row in the first output row: y = -1
    assert (grad[:, 1, 0, 1, :, 0] == 0).all()  # left kernel column in the first output column: x = -1
    assert (grad[:, 0, 1, 0, 1] != 0).all()
    assert (grad[:, 1, 0, 1, :, 1] != 0).all()


def test_deform_conv_without_offsets_is_a_convolution() -> None:
    x, weight = rand(2, 4, 6, 7), rand(6, 2, 3, 3)
    got = mmcv.ops.deform_conv2d(x, torch.zeros(2, 36, 3, 4).to(x), weight, 2, 1, 1, 2, 2)
    assert torch.allclose(got, torch.nn.functional.conv2d(x, weight, None, 2, 1, 1, 2))


def test_too_small_offset_map_is_named() -> None:
    x = rand(1, 4, 6, 6)
    with pytest.raises(ValueError, match=r"offset is \(3, 3\) but the output is \(6, 6\)"):
        mmcv.ops.modulated_deform_conv2d(
            x, rand(1, 18, 3, 3), rand(1, 9, 6, 6), rand(4, 4, 3, 3), rand(4), 1, 1
        )


def test_focal_losses_are_their_definition() -> None:
    (function, (x,)), target = sigmoid_focal_case(), torch.tensor([0, 3, 2, 4])
    plain = mmcv.ops.sigmoid_focal_loss(x, target, 2.0, 0.25, None, "none")
    p = x.sigmoid()
    assert torch.isclose(plain[1, 3], -0.25 * (1 - p[1, 3]) ** 2 * p[1, 3].log())
    assert torch.isclose(plain[3, 3], -0.75 * p[3, 3] ** 2 * (1 - p[3, 3]).log())  # label 4: background
    assert torch.allclose(function(x)[3], plain[3])  # background rows are not weighted
    soft = mmcv.ops.softmax_focal_loss(x, target % 4, 2.0, 0.25, None, "none")
    q = x.softmax(1)[1, 3]
    assert torch.isclose(soft[1], -0.25 * (1 - q) ** 2 * q.log())


def test_attention_samples_every_level() -> None:
    function, (value, points, weights) = attention_case()
    got = function(value, points, weights)
    b, q, head, channel = 1, 3, 1, 2
    planes = [value[b, :20, head, channel].view(4, 5), value[b, 20:, head, channel].view(2, 3)]
    wanted = value.new_zeros(())
    for level, point in product(range(2), range(4)):
        x, y = points[b, q, head, level, point].tolist()
        height, width = planes[level].shape
        sample = bilinear(planes[level], y * height - 0.5, x * width - 0.5)
        wanted = wanted + weights[b, q, head, level, point] * sample
    assert torch.isclose(got[b, q, head * 3 + channel], wanted)


def test_carafe_is_its_definition() -> None:
    function, (x, masks) = carafe_case()
    got = function(x, masks)
    y, z, channel = 5, 2, 3  # channel 3 is in group 1: masks 9..17
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))[0, channel]
    assert torch.isclose(got[0, channel, y, z], (padded[2:5, 1:4].flatten() * masks[0, 9:, y, z]).sum())


def test_masked_conv_is_the_convolution_under_the_mask() -> None:
    conv = mmcv.ops.MaskedConv2d(3, 4, 3, padding=1).eval()
    x, mask = torch.rand(1, 3, 6, 7), torch.rand(1, 6, 7) > 0.6
    with torch.no_grad():
        wanted = torch.nn.functional.conv2d(x, conv.weight, conv.bias, padding=1) * mask
        assert torch.allclose(conv(x, mask), wanted, atol=1e-6)


@pytest.mark.parametrize("name", ["roi_align", "modulated", "ms_deform_attn", "carafe"])
def test_half_precision_is_near_full(name: str) -> None:
    function, inputs = CASES[name]()
    wanted = function(*inputs)
    halves = [tensor.detach().bfloat16().requires_grad_() for tensor in inputs]
    got = function(*halves)
    got.sum().backward()
    assert got.dtype == torch.bfloat16
    assert (got - wanted).abs().max() < 0.05 * wanted.abs().max()
    assert all(tensor.grad is not None for tensor in halves)
