"""What must hold of the steps of a check: each condition can fail."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from aligndet.checking.conditions import CheckError, Gradients, check_losses, check_steps, check_still


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


def seen(*models: Any) -> Gradients:
    gradients = Gradients()
    for model in models:
        gradients.see(model)
    return gradients


def test_gradients_that_are_right() -> None:
    model: Any = Pretrainer()
    zero(model.online["neck"].bias)  # one tensor may be zero at first
    gradients = seen(model)
    gradients.check(model)
    assert gradients.missed(model) == ""


def test_what_the_first_step_lacks_the_second_may_give() -> None:
    first: Any = Pretrainer()
    first.online["neck"].weight.grad = None
    assert seen(first).missed(first) == "1 tensors get no gradient: online.neck.weight"
    assert seen(first, Pretrainer()).missed(first) == ""


@pytest.mark.parametrize(
    ("part", "value", "complaint"),
    [
        ("neck", None, "1 tensors get no gradient: online.neck.weight"),
        ("head", 0.0, "all gradients are zero in online.head"),
    ],
)
def test_gradients_that_are_missed(part: str, value: float | None, complaint: str) -> None:
    model: Any = Pretrainer()
    layer = model.online[part]
    layer.weight.grad = None if value is None else torch.full((2, 2), value)
    if value == 0.0:
        zero(layer.bias)
    gradients = seen(model)
    gradients.check(model)
    assert gradients.missed(model) == complaint


@pytest.mark.parametrize(
    ("part", "value", "complaint"),
    [
        ("head", math.inf, "not finite: online.head.weight"),
        ("backbone", 1.0, "1 frozen tensors are trained: online.backbone.weight"),
    ],
)
def test_gradients_that_are_wrong(part: str, value: float, complaint: str) -> None:
    model: Any = Pretrainer()
    model.online[part].weight.grad = torch.full((2, 2), value)
    with pytest.raises(CheckError, match=complaint):
        seen(model).check(model)


def test_a_backbone_that_could_be_trained() -> None:
    model: Any = Pretrainer()
    model.online["backbone"].requires_grad_(True)
    with pytest.raises(CheckError, match="2 frozen tensors are trained"):
        seen(model).check(model)


@pytest.mark.parametrize(
    ("losses", "complaint"),
    [
        ({"loss_bbox": math.nan}, "not finite: loss_bbox"),
        ({"loss": 2.0}, "no loss of its own"),
        ({"loss_bbox": 1.0, "loss_contrast": math.inf}, "loss_contrast is inf"),
    ],
)
def test_losses_that_are_wrong(losses: dict[str, float], complaint: str) -> None:
    with pytest.raises(CheckError, match=complaint):
        check_losses({"loss_contrast": 2.0, "positives": 3.0, **losses})


def test_losses_are_summed_without_the_contrast_the_counts_and_the_total() -> None:
    losses = {"loss": 10.5, "loss_rpn": 3.0, "s0.loss_bbox": 0.5, "loss_contrast": 7.0, "positives": 5.0}
    assert check_losses(losses) == (7.0, 3.5)


def test_steps_in_which_nothing_was_told_apart() -> None:
    check_steps([0, 3], [0.0, 2.0])
    with pytest.raises(CheckError, match="no slot belongs to an instance"):
        check_steps([0, 0], [2.0, 2.0])
    with pytest.raises(CheckError, match=r"loss_contrast is 0\.0"):
        check_steps([3, 3], [0.0, 0.0])


def test_a_backbone_whose_statistics_moved() -> None:
    backbone = nn.BatchNorm2d(3)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    check_still(before, backbone.eval())
    backbone.train()(torch.randn(2, 3, 4, 4))
    with pytest.raises(CheckError, match="3 tensors of the backbone changed: running_mean"):
        check_still(before, backbone)
