"""Faults of a user's detector are mended where they can be, and told in one line.

Kind: a parameter that no rule of the detector initialises (Co-DETR's embeddings of levels), which holds what
memory held.
"""

from typing import Any

import pytest
import torch
from mmdet.models import FPN
from torch import nn

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.detector_errors import naming
from aligndet.common.errors import InputError
from tests.small import tiny


class Forgets(FPN):
    value: float

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.levels = nn.Parameter(torch.full((4, 256), self.value))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e30])
def test_memory_that_nobody_initialised_gets_values(
    value: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Forgets, "value", value, raising=False)
    config = tiny()
    config.neck.type = Forgets
    model: Any = BoxDomainPretrainer(config)
    model.init_weights()
    levels = model.online.neck.levels
    assert 0.015 < levels.std() < 0.025
    assert torch.equal(levels, model.momentum.neck.levels)
    assert "gives neck.levels no initial values" in capsys.readouterr().err


def test_values_that_are_there_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Forgets, "value", -300.0, raising=False)
    config = tiny()
    config.neck.type = Forgets
    model: Any = BoxDomainPretrainer(config)
    model.init_weights()
    assert (model.online.neck.levels == -300).all()


def test_only_what_was_left_out_is_named() -> None:
    for left_out, error in ((["aux_head"], KeyError("other")), ([], AttributeError("no 'aux_head'"))):
        with pytest.raises(type(error)), naming(left_out, "X"):
            raise error
    with pytest.raises(InputError, match="X cannot do without aux_head"), naming(["aux_head"], "X"):
        raise AttributeError("'X' object has no attribute 'aux_head'")
