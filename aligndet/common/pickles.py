"""Opening a pickle from elsewhere: arrays and plain values come out of it, and no code runs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import IO, Any

from aligndet.common.errors import InputError
from aligndet.common.pickled_arrays import STAND_INS, plain

_HARMLESS = {("builtins", "set"), ("collections", "OrderedDict"), ("_codecs", "encode")}


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
        if stand_in := STAND_INS.get(f"{module}.{name}"):
            return stand_in
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


def read_pickle(stream: IO[bytes]) -> Any:
    """Give what a pickle holds; nothing in it is called but what builds arrays and plain values.

    Raises:
        Exception: of many kinds, for a pickle that is damaged or holds anything else.
    """
    return plain(_Unpickler(stream, encoding="latin1").load(), (Record,))


def read_named_pickle(stream: IO[bytes], name: str) -> Any:
    """As :func:`read_pickle`, of a file with a name.

    Raises:
        InputError: it is none, it is damaged, or it holds what could run code.
    """
    try:
        return read_pickle(stream)
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to mean
        text = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(f"{name}: not a pickle of plain data: {text}") from error


def load_pickle(path: Path) -> Any:
    """Give what a pickle holds.

    Raises:
        InputError: it is none, it is damaged, or it holds what could run code.
    """
    with path.open("rb") as stream:
        return read_named_pickle(stream, str(path))
