"""numpy's arrays as pickles spell them, built from checked parts.

numpy's own functions for this are not made for files of strangers: ``dtype.__setstate__`` takes fields of
Python objects into a number's type, and plain bytes are then read as pointers. The classes here stand in for
them while a pickle is read; :func:`plain` puts the arrays in their place afterwards.
"""

from __future__ import annotations

import argparse
import re
from collections import deque
from pickle import UnpicklingError
from typing import Any, Literal

import numpy as np

#: Types of numbers, texts and (in a list of them) objects; none with fields.
_PLAIN = re.compile(r"[<>|=]?(?:[?bhilqpBHILQPefdgFDG]|[biufcSUO]\d*)")
_ORDERS: dict[Any, Literal["<", ">", "=", "|"]] = {"<": "<", ">": ">", "=": "=", "|": "|"}


class Dtype:
    """Stands in for ``numpy.dtype``."""

    def __init__(self, kind: Any, align: Any = False, copy: Any = False) -> None:
        text = kind.decode("latin1") if isinstance(kind, bytes) else kind
        if not isinstance(text, str) or not _PLAIN.fullmatch(text):
            raise UnpicklingError(f"holds an array of {str(kind)[:40]!r}; expected plain numbers or texts")
        self.value = np.dtype(text)

    def __setstate__(self, state: Any) -> None:
        _, order, subtype, names, fields, *_ = state
        order = order.decode("latin1") if isinstance(order, bytes) else order
        if subtype is not None or names is not None or fields is not None or order not in _ORDERS:
            raise UnpicklingError("holds an array with fields; expected plain numbers or texts")
        self.value = self.value.newbyteorder(_ORDERS[order])


class Array:
    """Stands in for ``numpy.ndarray`` and for the function that begins to build one."""

    def __init__(self, *args: Any) -> None:
        self.value: np.ndarray = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        shape, dtype, fortran, data = state[-4:]
        self.value = _array(data, dtype, shape, "F" if fortran else "C")


def scalar(dtype: Any, data: Any = b"") -> Any:
    """Stand in for the function that builds a number of numpy's own."""
    return _array(data, dtype, (1,), "C")[0]


def from_buffer(data: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> np.ndarray:
    """Stand in for the function that builds an array in pickles of protocol 5."""
    if axes is not None:
        raise UnpicklingError("holds an array with its axes in another order")
    return _array(data, dtype, shape, order)


def _array(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(dtype, Dtype):
        raise UnpicklingError("holds an array without a type")
    flat: np.ndarray
    if isinstance(data, list):
        flat = np.empty(len(data), object)
        for number, item in enumerate(data):
            flat[number] = item
    else:
        data = data.encode("latin1") if isinstance(data, str) else bytes(data)
        flat = np.frombuffer(data, dtype.value).copy()
    return flat.reshape(shape, order=order)


#: Stand-ins by the name of what they stand for, in numpy 1 and 2.
STAND_INS: dict[str, Any] = {
    "numpy.dtype": Dtype,
    "numpy.ndarray": Array,
    **{
        f"numpy.{core}.{name}": stand_in
        for core in ("core", "_core")
        for name, stand_in in (
            ("multiarray._reconstruct", Array),
            ("multiarray.scalar", scalar),
            ("numeric._frombuffer", from_buffer),
        )
    },
}


def plain(node: Any, holders: tuple[type, ...] = (argparse.Namespace,)) -> Any:
    """Put arrays where their stand-ins are.

    Args:
        node: what was read; its containers are changed in place, tuples and what is in them replaced.
        holders: classes whose attributes are looked at, too.
    """
    return _plain(node, holders, {})


def _plain(node: Any, holders: tuple[type, ...], seen: dict[int, Any]) -> Any:
    if isinstance(node, Dtype):
        return node.value
    if not isinstance(node, (Array, np.ndarray, dict, list, tuple, deque, *holders)):
        return node
    if id(node) in seen:
        return seen[id(node)]
    if type(node) is tuple:
        return tuple(_plain(item, holders, seen) for item in node)
    seen[id(node)] = node.value if isinstance(node, Array) else node
    if isinstance(node, (Array, np.ndarray)):
        array = node.value if isinstance(node, Array) else node
        if array.dtype == object:
            for place, item in np.ndenumerate(array):
                array[place] = _plain(item, holders, seen)
    elif isinstance(node, holders):
        _plain(vars(node), holders, seen)
    elif isinstance(node, dict):
        for key, value in list(dict.items(node)):
            if (new := _plain(value, holders, seen)) is not value:
                dict.__setitem__(node, key, new)
    elif isinstance(node, (list, deque)):
        for number, item in enumerate(node):
            node[number] = _plain(item, holders, seen)
    return seen[id(node)]
