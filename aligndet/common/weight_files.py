"""Reading a file of weights: tensors and plain data come out of it, and no code runs.

torch's own restricted reader does the work (``weights_only``); here is what it may build beside tensors.
Nothing that runs code can be reached from these names. In particular ``getattr`` is not among them, though
mmengine's histories ask for it: with it, a file gets at ``exec``, and torch's reader calls that.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pickle
import re
import tarfile
import zipfile
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import torch

from aligndet.common.errors import InputError
from aligndet.common.pickled_arrays import STAND_INS, Array, plain
from aligndet.common.trust import TRUST, trusted

SAFETENSORS = ".safetensors"
#: Under which a safetensors file, whose notes are texts, keeps a checkpoint's meta as json.
NOTES = "aligndet"

#: First release whose restricted reader keeps what it promises (CVE-2025-32434), and takes stand-ins.
RESTRICTED = (2, 6)


class CheckpointError(InputError):
    """Says that a file is no checkpoint, or not one that this operation can use."""


def read_weights(path: Path, map_location: Any = "cpu") -> Any:
    """Read a file of weights: what was saved in it, usually a dictionary.

    A ``.safetensors`` file gives ``{'meta', 'state_dict'}``. A pickle may hold tensors, plain data and what
    mmengine stores beside them; other objects could run code, and are read where files are trusted only.

    Raises:
        CheckpointError: no checkpoint, a damaged one, or one that has to be trusted.
    """
    if path.suffix == SAFETENSORS:
        return _read_safetensors(path, map_location)
    if trusted():
        try:
            return torch.load(path, map_location=map_location, weights_only=False)
        except Exception as error:  # whatever the code of the file raises
            raise CheckpointError(_fault(path, error)) from error
    if kind := _kind_with_code(path):
        raise CheckpointError(f"{path}: {kind} can run code when it is read; {TRUST}")
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < RESTRICTED:
        raise CheckpointError(
            f"{path}: torch {torch.__version__} cannot read it without running code in it; install "
            f"torch 2.6 or newer, give it as .safetensors, or {TRUST}"
        )
    try:
        with plain_data_loads():
            return plain(torch.load(path, map_location=map_location, weights_only=True))
    except Exception as error:  # torch raises many kinds for a file that is not its own
        raise CheckpointError(_fault(path, error)) from error


def plain_data_loads() -> AbstractContextManager[Any]:
    """Let torch's restricted reader take the plain data of real checkpoints."""
    safe: Callable[[list[Any]], AbstractContextManager[Any]] = torch.serialization.safe_globals
    return safe([*_PLAIN_TYPES, *((stand_in, name) for name, stand_in in STAND_INS.items()), *_of_mmengine()])


_PLAIN_TYPES = (
    *(Counter, OrderedDict, defaultdict, deque, argparse.Namespace),
    *(int, float, str, list, dict, tuple, set),
)


def _of_mmengine() -> list[Any]:
    """List what mmengine's checkpoints ask for; nothing where there is no mmengine."""
    listed: list[Any] = [(_history_method, "builtins.getattr")]
    with suppress(ImportError):
        listed.append(importlib.import_module("mmengine.config").ConfigDict)
        importlib.import_module("mmengine.logging.history_buffer")
        listed.append((History, "mmengine.logging.history_buffer.HistoryBuffer"))
    return listed


class History:
    """Stands in for mmengine's HistoryBuffer until what it holds was looked at; then it is one.

    The class of mmengine takes functions from the file, keeps them for the whole process and calls them.
    """

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError("holds a history without values")
        for name in ("_log_history", "_count_history"):
            array = state.get(name)
            if not isinstance(array, Array) or array.value.dtype.kind not in "biuf" or array.value.ndim != 1:
                raise pickle.UnpicklingError(f"holds a history whose {name} is no row of numbers")
            vars(self)[name] = array.value
        vars(self)["max_length"] = int(state.get("max_length", 1_000_000))
        kind = importlib.import_module("mmengine.logging.history_buffer").HistoryBuffer
        self.__class__ = kind
        kind._set_default_statistics(self)


def _history_method(owner: Any, name: Any) -> str:
    """Stand in for ``getattr``, by which histories name their own functions; these are there without it."""
    if owner is not History or name not in ("min", "max", "current", "mean"):
        raise pickle.UnpicklingError("GLOBAL builtins.getattr")
    return str(name)


def _kind_with_code(path: Path) -> str:
    """The name of an archive that is a program, or whose old reader is not restricted; empty for others."""
    with suppress(OSError, ValueError, zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        names = {name.rpartition("/")[2] for name in archive.namelist()}
        return "a TorchScript program" if "constants.pkl" in names else ""
    with suppress(OSError, ValueError, EOFError, tarfile.TarError), tarfile.open(path) as members:
        return "torch's oldest format (tar)" if members.next() else ""  # a file of zeros is a tar of nothing
    return ""


def _read_safetensors(path: Path, map_location: Any) -> dict[str, Any]:
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise CheckpointError(f"{path}: reading it needs: pip install safetensors") from error
    try:
        with safe_open(path, "pt", device="cpu") as file:
            notes = dict(file.metadata() or {})
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    except Exception as error:  # the library's own errors have no common base
        raise CheckpointError(f"{path}: not a safetensors file") from error
    if isinstance(map_location, (str, torch.device)):
        state = {key: value.to(map_location) for key, value in state.items()}
    meta: Any = None
    with suppress(ValueError, RecursionError):
        meta = json.loads(notes.pop(NOTES, "{}"))
    return {"meta": {**notes, **(meta if isinstance(meta, dict) else {})}, "state_dict": state}


def _fault(path: Path, error: Exception) -> str:
    """Say in one short line why a file could not be read; its bytes are never part of it."""
    if isinstance(error, pickle.UnpicklingError):
        if held := re.search(r"GLOBAL ([\w.]+)", str(error)):
            return f"{path}: holds Python objects ({held[1][:100]}) that can run code when read; {TRUST}"
        if held := re.search(r"holds an? [\w ',.?]+", str(error)):
            return f"{path}: {held[0]}; {TRUST}"
    try:
        with path.open("rb") as stream:
            begin = stream.read(max(map(len, _MAGIC)))
    except OSError as unreadable:
        return f"{path}: {unreadable.strerror or 'cannot be read'}"
    kind = next((name for magic, name in _MAGIC.items() if begin.startswith(magic)), "another kind of file")
    kind = kind if begin else "empty"
    return f"{path}: not a torch checkpoint ({kind}); expected .pth, .pt or .safetensors"


_MAGIC = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"PK": "a damaged or foreign archive",
    b"{": "a text file",
    b"<": "a web page: was the download an error?",
    b"version ": "a Git LFS pointer: fetch the file itself",
}
