"""What an adapter replaces in a detector is put back while the detector gives itself its initial weights.

Heads initialise layers by name, the classifier among them: by a rule in their ``init_cfg``, or in an
``init_weights`` of their own that writes into its weight and bias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

#: Stands for an attribute that was not there.
_ABSENT = object()


class Originals:
    """Keeps the attributes of a detector's modules that stand-ins took the place of.

    The kept modules are no part of any module, so they are not trained, stored or moved.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[nn.Module, str, Any, Any]] = []

    def replace(self, owner: nn.Module, name: str, stand_in: Any) -> None:
        """Put ``stand_in`` where ``owner`` has ``name``."""
        self._kept.append((owner, name, getattr(owner, name, _ABSENT), stand_in))
        setattr(owner, name, stand_in)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Have everything as it was within this context.

        Random numbers that go into the kept layers are drawn apart, so that all others are the same whatever
        rules these layers have.
        """
        for owner, name, original, _ in reversed(self._kept):
            if original is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, _beside(owner, original))
        try:
            with _DrawnApart(original for *_, original, _ in self._kept):
                yield
        finally:
            for owner, name, _, stand_in in self._kept:
                setattr(owner, name, stand_in)


def _beside(owner: nn.Module, original: Any) -> Any:
    """Bring a module to the device of its owner."""
    first = next(owner.parameters(), None)
    return original.to(first.device) if isinstance(original, nn.Module) and first is not None else original


class _DrawnApart(TorchFunctionMode):
    """Leaves torch's random state as it is where the parameters of ``parts`` are filled."""

    def __init__(self, parts: Iterable[Any]) -> None:
        super().__init__()
        modules = (part for part in parts if isinstance(part, nn.Module))
        self.storages = {_storage(value) for part in modules for value in part.parameters()}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        ours = [v for v in (*args, *kwargs.values()) if type(v) in (Tensor, nn.Parameter)]
        ours = [value for value in ours if _storage(value) in self.storages]
        if not ours:
            return func(*args, **kwargs)
        with torch.random.fork_rng([value.device for value in ours if value.is_cuda]):
            return func(*args, **kwargs)


def _storage(value: Tensor) -> int:
    """Tell tensors apart by their memory, which views of one share."""
    return value.untyped_storage().data_ptr()
