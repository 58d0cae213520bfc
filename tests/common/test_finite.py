"""Weights that are not finite are named; masks of minus infinity are none."""

import pytest
import torch

from aligndet.common.errors import InputError
from aligndet.common.finite import not_finite, refuse_not_finite

SOUND = {
    "weight": torch.ones(2, 3),
    "large": torch.full((4,), 3e38),
    "empty": torch.zeros(0),
    "count": torch.tensor(3),
    "mask": torch.tensor([[0.0, -torch.inf], [0.0, 0.0]]),
    "text": "nan",
    "sparse": torch.eye(3).to_sparse(),
}


def test_sound_tensors_and_masks_pass() -> None:
    assert not_finite(SOUND) == []


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, complex(0, torch.nan)])
def test_a_single_value_is_found(value: complex) -> None:
    tensor = torch.ones(1000, dtype=torch.complex64 if isinstance(value, complex) else torch.float32)
    tensor[777] = torch.tensor(value)
    assert not_finite({**SOUND, "bad": tensor, "sparse bad": tensor.to_sparse()}) == ["bad", "sparse bad"]


def test_a_refusal_is_one_line_with_file_and_tensor() -> None:
    bad = {"a.weight": torch.tensor([torch.nan]), "b.weight": torch.tensor([torch.inf])}
    with pytest.raises(InputError, match=r"^x.pth: a.weight is not finite \(nor are 1 other .*\): mend it$"):
        refuse_not_finite({**SOUND, **bad}, "x.pth", "mend it")
