"""Checkpoint files: reading those of any maker, writing equals as equal bytes."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from aligndet.common.files import write_bytes
from aligndet.common.trust import trusting
from aligndet.common.weight_files import NOTES, SAFETENSORS, CheckpointError, plain_data_loads, read_weights

__all__ = [
    "SAFETENSORS",
    "CheckpointError",
    "checkpoint_bytes",
    "plain_data_loads",
    "read_checkpoint",
    "read_meta",
    "trusting",
    "write_checkpoint",
    "write_safetensors",
]


def read_checkpoint(path: Path) -> Any:
    """Read a checkpoint file onto the CPU, as :func:`aligndet.common.weight_files.read_weights` does.

    Raises:
        CheckpointError: no such file, no checkpoint, or one that has to be trusted.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    return read_weights(path)


def read_meta(path: Path) -> Mapping[str, Any]:
    """Read what mmengine notes beside the tensors of a checkpoint; empty where there is nothing."""
    content = read_checkpoint(path)
    meta = content.get("meta") if isinstance(content, Mapping) else None
    return meta if isinstance(meta, Mapping) else {}


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


def write_safetensors(path: Path, state: dict[str, torch.Tensor], meta: Mapping[str, Any]) -> None:
    """Write tensors as safetensors, atomically; tensors that share memory are written one by one.

    Args:
        path: the file.
        state: the tensors.
        meta: plain data, kept as json, which :func:`read_meta` gives again.

    Raises:
        CheckpointError: the library is missing.
    """
    try:
        from safetensors.torch import save
    except ImportError as error:
        raise CheckpointError(f"{path}: writing it needs: pip install safetensors") from error
    plain = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
    write_bytes(path, save(plain, {"format": "pt", NOTES: json.dumps(meta)}))
