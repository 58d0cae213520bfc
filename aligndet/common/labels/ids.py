"""Ids as files have them: whole numbers, numbers as text or with a point, text, hashes beyond 63 bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Key = int | str
LOW, HIGH = -(2**63), 2**63 - 1


def key_of(value: Any) -> Key | None:
    """What an id is known by: ``3``, ``"3"`` and ``3.0`` are one id; None for what is no id."""
    if type(value) is int:
        return value
    if isinstance(value, str):
        text = value.strip()
        digits = text.removeprefix("-")
        if digits.isascii() and digits.isdigit() and str(int(digits[:4000])) == digits:
            return int(text)
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return None


def is_plain(key: Key) -> bool:
    """Whether it is a whole number that every tool can hold."""
    return type(key) is int and LOW <= key <= HIGH


def numbered(keys: Sequence[Key]) -> tuple[list[int], int]:
    """A whole number of 63 bits for each of different keys; those that are one keep it.

    Returns:
        The numbers, and how many were given anew.
    """
    taken = {key for key in keys if is_plain(key)}
    numbers, number = [], 0
    for key in keys:
        if key in taken:
            numbers.append(int(key))
            continue
        number += 1
        while number in taken:
            number += 1
        numbers.append(number)
    return numbers, len(keys) - len(taken)


def repaired(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Annotation ids above 0, each once: what is not gets the next free number.

    Args:
        ids: (B,) int64, 0 where there is none.

    Returns:
        (B,) int64, and a mask (B,) of those that were given anew.
    """
    wrong = ids <= 0
    _, first = np.unique(ids, return_index=True)
    repeated = np.ones(len(ids), bool)
    repeated[first] = False
    wrong |= repeated
    new = ids.copy()
    top = int(ids[~wrong].max(initial=0))
    if top > HIGH - len(ids):
        wrong[:] = True
        top = 0
    new[wrong] = top + 1 + np.arange(int(wrong.sum()))
    return new, wrong
