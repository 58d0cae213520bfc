"""Stand-in and compiled operators give the same values and gradients (skipped without compiled ones)."""

import mmcv.ops
import pytest
import torch

from tests.ops.ops_cases import CASES, boxes, compiled, load_stand_in, on_the_kink_case, use

NO_CPU_KERNEL = {"sigmoid_focal", "softmax_focal", "ms_deform_attn", "carafe"}
NO_CPU_KERNEL |= {"deform_roi_pool", "deform_roi_pool_adaptive"}


@pytest.mark.parametrize("name", sorted({*CASES, "on_the_kink"} - NO_CPU_KERNEL))
def test_equal_to_compiled(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for extension in (load_stand_in(), compiled()):
        use(extension, monkeypatch)
        torch.manual_seed(0)
        function, inputs = (CASES | {"on_the_kink": on_the_kink_case})[name]()
        leaves = [tensor.float().requires_grad_() for tensor in inputs]
        value = function(*leaves)
        grads = torch.autograd.grad((value * value.detach().cos()).sum(), leaves)
        results.append([value, *grads])
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("offset", [0, 1])
def test_suppression_equal_to_compiled(offset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    xyxy, scores = boxes(300)
    for extension in (load_stand_in(), compiled()):
        use(extension, monkeypatch)
        soft = [
            mmcv.ops.soft_nms(xyxy, scores, 0.4, 0.5, 0.05, m, offset)
            for m in ("naive", "linear", "gaussian")
        ]
        match = mmcv.ops.nms_match(torch.cat([xyxy, scores[:, None]], 1), 0.4)
        results.append(
            [mmcv.ops.nms(xyxy, scores, 0.4, offset)[1], *(t for pair in soft for t in pair), *match]
        )
    assert len(results[0]) == len(results[1])
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs)
