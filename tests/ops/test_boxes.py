"""Suppression of boxes by the stand-in, against literal definitions."""

import math

import mmcv.ops
import pytest
import torch
from torch import Tensor

from tests.ops.ops_cases import boxes, load_stand_in, use


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in under mmcv's functions, even where mmcv has compiled operators."""
    use(load_stand_in(), monkeypatch)
    torch.manual_seed(0)


def iou(a: Tensor, b: Tensor, offset: int) -> float:
    side = [min(a[k + 2], b[k + 2]) - max(a[k], b[k]) + offset for k in (0, 1)]
    inter = max(0.0, float(side[0])) * max(0.0, float(side[1]))
    area = [float((c[2] - c[0] + offset) * (c[3] - c[1] + offset)) for c in (a, b)]
    return inter / (sum(area) - inter)


@pytest.mark.parametrize("offset", [0, 1])
def test_nms_is_greedy(offset: int) -> None:
    xyxy, scores = boxes()
    kept: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        if all(iou(xyxy[index], xyxy[k], offset) <= 0.4 for k in kept):
            kept.append(index)
    assert mmcv.ops.nms(xyxy, scores, 0.4, offset)[1].tolist() == kept


@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
def test_softnms_lowers_scores(method: str) -> None:
    xyxy = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [20, 20, 30, 30]])
    dets, kept = mmcv.ops.soft_nms(xyxy, torch.tensor([0.9, 0.8, 0.3]), 0.5, 0.5, 1e-3, method)
    lowered = {"naive": 0.0, "linear": 0.8 * 0.2, "gaussian": 0.8 * math.exp(-(0.8**2) / 0.5)}[method]
    wanted = {0: 0.9, 2: 0.3} | ({1: lowered} if lowered else {})
    assert kept.tolist() == sorted(wanted, key=lambda index: -wanted[index])
    assert torch.allclose(dets[:, 4], torch.tensor([wanted[index] for index in kept.tolist()]))


def test_nms_match_groups() -> None:
    xyxy = torch.tensor([[0.0, 0, 10, 8, 0.8], [20, 20, 30, 30, 0.3], [0, 0, 10, 10, 0.9]])
    assert [group.tolist() for group in mmcv.ops.nms_match(xyxy, 0.5)] == [[2, 0], [1]]
