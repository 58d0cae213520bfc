"""Arrays in a file that is whole or not there: for work in progress, done again where it was damaged."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.files import replacing

SEAL = hashlib.sha256().digest_size


def write_sealed(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write npz behind the hash of its bytes; readers see the old file or the whole new one."""
    content = io.BytesIO()
    np.savez(content, **arrays)
    data = content.getvalue()
    with replacing(path, durable=False) as stream:  # what a power cut damages is found out by the hash
        stream.write(hashlib.sha256(data).digest())
        stream.write(data)


def read_sealed(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file; None where it is damaged or not there."""
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    seal, data = stored[:SEAL], stored[SEAL:]
    if hashlib.sha256(data).digest() != seal:  # a zip has bytes that no checksum of it covers
        return None
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)
