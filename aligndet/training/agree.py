"""Processes of a run agree on a number, without a word to the GPU."""

from __future__ import annotations

import torch
from mmengine.dist import get_world_size
from torch import distributed


class Agreement:
    """Gives all processes the largest of the numbers that they bring.

    They meet on the CPU, so that none waits for a GPU; a process alone waits for nobody. All have to make it,
    and to ask it, equally often.
    """

    def __init__(self) -> None:
        self._several = get_world_size() > 1
        on_cpu = self._several and "gloo" in distributed.get_backend()
        self._group = distributed.new_group(backend="gloo") if self._several and not on_cpu else None

    def largest(self, number: int) -> int:
        """The largest of all processes' numbers."""
        if not self._several:
            return number
        value = torch.tensor(number)
        distributed.all_reduce(value, distributed.ReduceOp.MAX, self._group)
        return int(value)
