"""Checkpoint files: the latest of a work dir, reading those of any maker, writing equals as equal bytes."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import pickle
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import torch

from aligndet.common.errors import InputError
from aligndet.common.files import write_bytes

SAFETENSORS = ".safetensors"
#: File of a mmengine work dir that names its latest checkpoint.
LAST_CHECKPOINT = "last_checkpoint"

_TRUSTED: ContextVar[bool] = ContextVar("trusted", default=False)


class CheckpointError(InputError):
    """Says that a file is no checkpoint, or not one that this operation can use."""


@contextlib.contextmanager
def trusting(trust: bool = True) -> Iterator[None]:
    """Let :func:`read_checkpoint` run code that files hold, as ``--trust`` asks for."""
    token = _TRUSTED.set(trust)
    try:
        yield
    finally:
        _TRUSTED.reset(token)


def find_checkpoint(folder: Path) -> Path | None:
    """Find the latest checkpoint of a mmengine work dir; None where there is none."""
    note = folder / LAST_CHECKPOINT
    if note.is_file():
        named = Path(note.read_text(encoding="utf-8").strip())
        for path in (named, folder / named.name):  # the second: the folder was moved or copied
            if path.is_file():
                return path
    return None


def latest_checkpoint(folder: Path) -> Path:
    """Find the latest checkpoint of a mmengine work dir.

    Raises:
        CheckpointError: no checkpoint is noted in it, or the one noted is gone.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: there is no such folder; expected a work dir with a checkpoint")
    path = find_checkpoint(folder)
    if path is None:
        raise CheckpointError(
            f"{folder} has no checkpoint yet: expected mmengine's {LAST_CHECKPOINT} and the file it names"
        )
    return path


def checkpoint_file(path: Path) -> Path:
    """Find the file that is meant: a checkpoint itself, or the latest of a work dir.

    Raises:
        CheckpointError: neither.
    """
    if path.is_dir():
        return latest_checkpoint(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    return path


def read_checkpoint(path: Path) -> Any:
    """Read a checkpoint file onto the CPU: what was saved in it, usually a dictionary.

    A ``.safetensors`` file gives its tensors by name. A pickle may hold tensors, plain data and what mmengine
    stores beside them; other objects could run code, so they are read under :func:`trusting` only.

    Raises:
        CheckpointError: no such file, no checkpoint, or one that has to be trusted.
    """
    path = checkpoint_file(path)
    if path.suffix == SAFETENSORS:
        return _read_safetensors(path)
    try:
        with plain_data_loads():
            return torch.load(path, map_location="cpu", weights_only=not _TRUSTED.get())
    except Exception as error:  # torch raises many kinds for a file that is not its own
        raise CheckpointError(_fault(path, error)) from error


def plain_data_loads() -> contextlib.AbstractContextManager[Any]:
    """Let ``torch.load`` take the plain data of mmengine's checkpoints when others call it, as mmengine does.

    Since torch 2.6 it refuses them by default, and a resumed run with mmengine 0.10.7 would end there.
    """
    return torch.serialization.safe_globals(_harmless())


def read_meta(path: Path) -> Mapping[str, Any]:
    """Read what mmengine notes beside the tensors of a checkpoint; empty where there is nothing."""
    content = read_checkpoint(path)
    meta = content.get("meta") if isinstance(content, Mapping) else None
    return meta if isinstance(meta, Mapping) else {}


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        from safetensors.torch import load_file

        tensors: dict[str, torch.Tensor] = load_file(path)
    except ImportError as error:
        raise CheckpointError(f"{path}: reading it needs: pip install safetensors") from error
    except Exception as error:  # the library's own errors have no common base
        raise CheckpointError(f"{path}: not a safetensors file") from error
    return tensors


def _harmless() -> list[Any]:
    """List what checkpoints of mmengine and of well-known makers hold, and what runs no code.

    mmengine's HistoryBuffer asks for ``getattr``; what that gives can be called only if it is listed itself.
    """
    from collections import Counter, OrderedDict, defaultdict, deque

    import numpy as np

    listed: list[Any] = [Counter, OrderedDict, defaultdict, deque, argparse.Namespace]
    listed += [np.ndarray, np.dtype, getattr, int, float, str, list, dict, tuple, set]
    arrays = importlib.import_module(
        "numpy._core.multiarray" if hasattr(np, "_core") else "numpy.core.multiarray"
    )
    listed += [arrays._reconstruct, arrays.scalar]
    listed += [type(np.dtype(kind)) for kind in "?bhilqBHILQefdSU"]
    for module, name in (
        ("mmengine.logging.history_buffer", "HistoryBuffer"),
        ("mmengine.config", "ConfigDict"),
    ):
        with contextlib.suppress(ImportError):
            listed.append(getattr(importlib.import_module(module), name))
    return listed


def _fault(path: Path, error: Exception) -> str:
    """Say in one short line why a file could not be read; its bytes are never part of it."""
    held = re.search(r"GLOBAL ([\w.]+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and held:
        return (
            f"{path}: holds Python objects ({held[1]}) that can run code when they are read; "
            "give --trust if you trust where it comes from"
        )
    with path.open("rb") as stream:
        begin = stream.read(max(map(len, _MAGIC)))
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


def checkpoint_bytes(state: dict[str, torch.Tensor], meta: dict[str, Any]) -> memoryview:
    """Write an mmengine checkpoint, ``{'meta', 'state_dict'}``, into bytes.

    Given a path, torch.save would write the file's name into the archive.
    """
    buffer = io.BytesIO()
    torch.save({"meta": meta, "state_dict": state}, buffer)
    return buffer.getbuffer()


def write_checkpoint(path: Path, state: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    """Write an mmengine checkpoint, atomically."""
    write_bytes(path, checkpoint_bytes(state, meta))


def write_safetensors(path: Path, state: dict[str, torch.Tensor], meta: Mapping[str, str]) -> None:
    """Write tensors as safetensors, atomically; tensors that share memory are written one by one.

    Raises:
        CheckpointError: the library is missing.
    """
    try:
        from safetensors.torch import save
    except ImportError as error:
        raise CheckpointError(f"{path}: writing it needs: pip install safetensors") from error
    plain = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
    write_bytes(path, save(plain, {"format": "pt", **meta}))
