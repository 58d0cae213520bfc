"""Types of options that are numbers, devices or pairs; each says what it expected."""

from __future__ import annotations

import argparse
import math


def whole(text: str) -> int:
    """A whole number, 0 or more."""
    return _number(text, 0)


def positive(text: str) -> int:
    """A whole number, 1 or more."""
    return _number(text, 1)


def above_zero(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def not_negative(text: str) -> float:
    """A finite number, 0 or more."""
    return 0.0 if text.strip() in ("0", "0.0") else above_zero(text)


def percentage(text: str) -> float:
    """A number in (0, 100]."""
    value = above_zero(text)
    if value > 100:
        raise argparse.ArgumentTypeError(f"expected percent in (0, 100], got {text!r}")
    return value


def percentage_or_none(text: str) -> float:
    """A number in [0, 100]."""
    return 0.0 if text.strip() in ("0", "0.0") else percentage(text)


def share(text: str) -> float:
    """A number in (0, 1]."""
    value = above_zero(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"expected a share in (0, 1], got {text!r}")
    return value


def device_name(text: str) -> str:
    """``cpu``, ``mps``, ``cuda`` or ``cuda:N``."""
    kind, colon, number = text.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not (kind == "cuda" and number.isdigit())):
        raise argparse.ArgumentTypeError(f"expected cpu, mps, cuda or cuda:N, got {text!r}")
    return text


def key_value(text: str) -> str:
    """``key=value`` as written; what it means is decided when it is used."""
    key, equals, _ = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    return text


def _number(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got {text!r}")
    return value
