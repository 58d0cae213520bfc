"""Write checkpoints so that the same content gives the same bytes."""

import io
from pathlib import Path
from typing import Any

import torch

from aligndet.common.files import write_bytes


def checkpoint_bytes(state: dict[str, torch.Tensor], meta: dict[str, Any]) -> memoryview:
    """An mmengine checkpoint, ``{'meta', 'state_dict'}``, as bytes.

    Given a path, torch.save would write the file's name into the archive.
    """
    buffer = io.BytesIO()
    torch.save({"meta": meta, "state_dict": state}, buffer)
    return buffer.getbuffer()


def write_checkpoint(path: Path, state: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    """Write an mmengine checkpoint, atomically."""
    write_bytes(path, checkpoint_bytes(state, meta))
