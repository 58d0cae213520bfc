"""What must hold after a training step: each condition can fail."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from aligndet.checking.conditions import CheckError, check_gradients, check_losses, check_still
from aligndet.checking.row import Row


class Pretrainer(nn.Module):
    """The parts of a pre-trainer after a step in which all is well."""

    def __init__(self) -> None:
        super().__init__()
        self.online = nn.ModuleDict(
            {"backbone": nn.Linear(2, 2), "neck": nn.Linear(2, 2), "head": nn.Linear(2, 2)}
        )
        self.online_adapter = nn.ModuleDict({"projectors": nn.Linear(2, 2)})
        self.online["backbone"].requires_grad_(False)
        for parameter in self.parameters():
            parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None


def zero(parameter: Any) -> None:
    parameter.grad.zero_()


def test_gradients_that_are_right() -> None:
    model = Pretrainer()
    zero(model.online["neck"].bias)  # one tensor may be zero at the first step
    check_gradients(model)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("part", "value", "complaint"),
    [
        ("neck", None, "1 tensors get no gradient: online.neck.weight"),
        ("head", 0.0, "all gradients are zero in online.head"),
        ("head", math.inf, "not finite: online.head.weight"),
        ("backbone", 1.0, "frozen tensors are trained: online.backbone.weight"),
    ],
)
def test_gradients_that_are_wrong(part: str, value: float | None, complaint: str) -> None:
    model = Pretrainer()
    layer = model.online[part]
    layer.weight.grad = None if value is None else torch.full((2, 2), value)
    if value == 0.0:
        zero(layer.bias)
    with pytest.raises(CheckError, match=complaint):
        check_gradients(model)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("losses", "positives", "complaint"),
    [
        ({"loss_bbox": torch.tensor(math.nan)}, 3, "not finite: loss_bbox"),
        ({"loss_bbox": [torch.tensor(1.0), torch.tensor(math.inf)]}, 3, "not finite: loss_bbox"),
        ({}, 3, "no loss of its own"),
        ({"loss_bbox": torch.tensor(1.0)}, 0, "none of 9 slots"),
        ({"loss_bbox": torch.tensor(1.0), "loss_contrast": torch.tensor(0.0)}, 3, "loss_contrast is 0.0"),
    ],
)
def test_losses_that_are_wrong(losses: dict, positives: int, complaint: str) -> None:
    row = Row("a.py", slots=9, positives=positives)
    with pytest.raises(CheckError, match=complaint):
        check_losses({"loss_contrast": torch.tensor(2.0), "positives": torch.tensor(3.0), **losses}, row)


def test_losses_are_summed_without_the_contrast_and_the_counts() -> None:
    row = Row("a.py", slots=9, positives=3)
    losses = {"loss_rpn": [torch.tensor(1.0), torch.tensor(2.0)], "s0.loss_bbox": torch.tensor(0.5)}
    check_losses({**losses, "loss_contrast": torch.tensor(7.0), "positives": torch.tensor(3.0)}, row)
    assert (row.losses, row.contrast) == (3.5, 7.0)


def test_a_backbone_whose_statistics_moved() -> None:
    backbone = nn.BatchNorm2d(3)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    check_still(before, backbone.eval())
    backbone.train()(torch.randn(2, 3, 4, 4))
    with pytest.raises(CheckError, match="3 tensors of the backbone changed: running_mean"):
        check_still(before, backbone)
