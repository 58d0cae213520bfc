"""Random numbers by position: whatever draws them draws the same, however the run came to where it is."""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np
import torch
from mmengine.device import get_device

T = TypeVar("T")
State = tuple[Any, Any, torch.Tensor]


def seed_of(*position: Any) -> int:
    """Give a 64-bit seed for a position: a run's seed, what is drawn, and where (epoch, place, step, rank).

    It depends on the text of the parts, so it is the same in every process and on every machine.
    """
    return int.from_bytes(blake2b(repr(position).encode(), digest_size=8).digest(), "little")


def seed_item(seed: int) -> None:
    """Seed what draws on the CPU: python, numpy, torch; a loader's process leaves GPUs alone."""
    random.seed(seed)
    np.random.seed([seed & 0xFFFFFFFF, seed >> 32])
    torch.default_generator.manual_seed(seed)


def seed_step(seed: int) -> None:
    """Seed what draws in a step of the model: as :func:`seed_item`, and every GPU."""
    seed_item(seed)
    if get_device() != "cpu":  # without one torch takes half a millisecond to remember the seed for it
        torch.manual_seed(seed)


def drawn_apart(items: Iterator[T], seed: int) -> Iterator[T]:
    """Give items that are made under random numbers of their own, whatever else draws between them."""
    around = _states()
    seed_item(seed)
    own = _states()
    _restore(around)
    while True:
        around = _states()
        _restore(own)
        try:
            item = next(items)
        except StopIteration:
            return
        finally:
            own = _states()
            _restore(around)
        yield item


def _states() -> State:
    return random.getstate(), np.random.get_state(), torch.default_generator.get_state()


def _restore(states: State) -> None:
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.default_generator.set_state(states[2])
