"""What a detector of the user's cannot do in pre-training, said in terms of its config."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from aligndet.common.errors import InputError


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
