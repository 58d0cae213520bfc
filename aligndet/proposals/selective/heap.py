"""A binary heap of region pairs, the most similar on top; of equal ones, the lower region numbers first.

Entry i is keys[i] float32 with pairs[i] (2,) int32.
"""

from __future__ import annotations

import numpy as np

from aligndet.proposals.selective.kernel import kernel

Array = np.ndarray


@kernel
def before(keys: Array, pairs: Array, i: int, j: int) -> bool:
    """Does entry i leave the heap before entry j?"""
    if keys[i] != keys[j]:
        return keys[i] > keys[j]
    if pairs[i, 0] != pairs[j, 0]:
        return pairs[i, 0] < pairs[j, 0]
    return pairs[i, 1] < pairs[j, 1]


@kernel
def swap(keys: Array, pairs: Array, i: int, j: int) -> None:
    """Exchange entries i and j."""
    keys[i], keys[j] = keys[j], keys[i]
    pairs[i, 0], pairs[j, 0] = pairs[j, 0], pairs[i, 0]
    pairs[i, 1], pairs[j, 1] = pairs[j, 1], pairs[i, 1]


@kernel
def push(keys: Array, pairs: Array, used: int, key: np.floating, a: int, b: int) -> tuple[Array, Array]:
    """Add an entry to the `used` ones; returns the arrays, moved to larger ones when they were full."""
    if used == keys.size:
        keys = np.concatenate((keys, np.empty_like(keys)))
        pairs = np.concatenate((pairs, np.empty_like(pairs)))
    keys[used], pairs[used, 0], pairs[used, 1] = key, a, b
    i = used
    while i > 0 and before(keys, pairs, i, (i - 1) >> 1):
        swap(keys, pairs, i, (i - 1) >> 1)
        i = (i - 1) >> 1
    return keys, pairs


@kernel
def drop(keys: Array, pairs: Array, used: int) -> None:
    """Remove the top of `used` entries."""
    last = used - 1
    swap(keys, pairs, 0, last)
    i = 0
    while True:
        child = 2 * i + 1
        if child >= last:
            return
        if child + 1 < last and before(keys, pairs, child + 1, child):
            child += 1
        if before(keys, pairs, i, child):
            return
        swap(keys, pairs, i, child)
        i = child
