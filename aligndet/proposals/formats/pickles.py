"""Opening a pickle from elsewhere: arrays and plain values come out of it, and no code runs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from aligndet.common.errors import InputError

_HARMLESS = {
    ("builtins", "set"),
    ("collections", "OrderedDict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("_codecs", "encode"),
}


class Record:
    """Stands in for mmengine's InstanceData, so that mmengine need not be there."""

    bboxes: Any = None
    scores: Any = None


class BoxMode(int):
    """Stands in for detectron2's: 0 is xyxy, 1 is xywh, both in pixels."""


class _Unpickler(pickle.Unpickler):
    """Builds arrays and stand-ins and nothing else: a pickle from elsewhere cannot run code here."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _HARMLESS:
            return super().find_class(module, name)
        if module.startswith("mmengine.structures") and name == "InstanceData":
            return Record
        if module.startswith("detectron2.structures") and name == "BoxMode":
            return BoxMode
        raise pickle.UnpicklingError(
            f"holds a {module}.{name}; expected numpy arrays, alone or in mmengine's InstanceData "
            "(tensors: dump them with .numpy())"
        )


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle, by its name or its first bytes."""
    if path.suffix in (".pkl", ".pickle"):
        return True
    with path.open("rb") as stream:
        head = stream.read(2)
    return head[:1] == b"\x80" and head[1:2] <= b"\x05"


def load_pickle(path: Path) -> Any:
    """Give what a pickle holds.

    Raises:
        InputError: it is none, it is damaged, or it holds what could run code.
    """
    try:
        with path.open("rb") as stream:
            return _Unpickler(stream, encoding="latin1").load()
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to mean
        text = str(error) or type(error).__name__
        raise InputError(f"{path}: not a pickle of proposals: {text}") from error
