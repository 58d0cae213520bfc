"""Tell tensors that hold NaN or infinity, and refuse weights that do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from aligndet.common.errors import InputError

#: Key of mmengine's message hub: whether the optimiser's last step was made. What follows the weights asks.
STEP_APPLIED = "step_applied"


def not_finite(tensors: Mapping[str, Any]) -> list[str]:
    """Name the tensors that hold NaN or infinity; a mask, which is 0 and minus infinity only, is sound."""
    return [name for name, value in tensors.items() if isinstance(value, Tensor) and not _sound(value)]


def _sound(value: Tensor) -> bool:
    if value.is_sparse:
        value = value.coalesce().values()
    if value.is_quantized or value.is_meta or not (value.is_floating_point() or value.is_complex()):
        return True
    finite = torch.isfinite(value)
    return bool(finite.all()) or bool((value[~finite] == -torch.inf).all() and (value[finite] == 0).all())


#: What to do about a file of such weights.
DIVERGED = "the training that wrote it diverged; take an earlier checkpoint"


def refuse_not_finite(tensors: Mapping[str, Any], where: str, advice: str = DIVERGED) -> None:
    """Refuse weights that are no numbers.

    Args:
        tensors: by name.
        where: file, or option, that they are from.
        advice: how to mend it.

    Raises:
        InputError: names the first of the tensors.
    """
    if bad := not_finite(tensors):
        more = f" (nor are {len(bad) - 1} other tensors)" if len(bad) > 1 else ""
        raise InputError(f"{where}: {bad[0]} is not finite{more}: {advice}")
