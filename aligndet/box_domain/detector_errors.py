"""Faults of a user's detector in pre-training: mended, or said in terms of its config."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from aligndet.common.errors import InputError
from aligndet.common.notices import warn

#: No weight starts as large as this; memory that nobody initialised may be, or NaN.
_TOO_LARGE = 1e6
_STD = 0.02


def mend_initial_values(detector: nn.Module) -> None:
    """Give values to parameters that the detector's own rules leave as memory was, where that is seen.

    ``nn.Parameter(torch.Tensor(4, 256))`` is such a one if no rule reaches it: Co-DETR's ``level_embeds``.
    """
    for name, value in detector.named_parameters():
        if not bool((value.detach().abs() < _TOO_LARGE).all()):
            nn.init.normal_(value, std=_STD)
            warn(
                f"model.detector: {type(detector).__name__} gives {name} no initial values; it starts at "
                f"random, with a standard deviation of {_STD}"
            )


def check_arguments(detector: nn.Module, preprocessor: Any, given: Iterable[str]) -> None:
    """Raise unless a detector takes what its data preprocessor gives, as mmengine hands it over: by keyword.

    Args:
        detector: of mmdet, with a ``forward(inputs, data_samples, mode, ...)``.
        preprocessor: of the detector.
        given: names of what it gives.

    Raises:
        InputError: naming detector, preprocessor and argument.
    """
    try:
        inspect.signature(detector.forward).bind(mode="loss", **dict.fromkeys(given))
    except TypeError as error:
        raise InputError(
            f"model.detector: forward of {type(detector).__name__} and its data_preprocessor "
            f"{type(preprocessor).__name__}, which gives {', '.join(given)}, do not fit: {error}. They have "
            "to name the same things; what a pipeline of yours adds to a batch is not there in pre-training."
        ) from error


@contextmanager
def naming(left_out: list[str], detector: Any) -> Iterator[None]:
    """Name what was left out of a detector where it cannot do without.

    Args:
        left_out: keys of its config.
        detector: its class, or the name of that.

    Raises:
        InputError: in place of an error that speaks of one of them, or of nothing where something should be.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        if not any(f"'{name}'" in str(error) for name in (*left_out, "NoneType")) or not left_out:
            raise
        raise InputError(
            f"model.detector: {getattr(detector, '__name__', detector)} cannot do without "
            f"{', '.join(left_out)}, which pre-training on boxes leaves out: {error}. Give a config of the "
            "detector without them."
        ) from error
