"""Whether the outputs of a stage are still what it made: size, time and hash of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aligndet.common.files import content_hash
from aligndet.pipeline.inputs import text_hash

Stamp = dict[str, Any]


def stamps(root: Path, names: Iterable[str], earlier: dict[str, Stamp] | None = None) -> dict[str, Stamp]:
    """Size, time and hash of outputs by name; where size and time are as ``earlier``, so is the hash.

    Args:
        root: folder that the names are relative to.
        names: of files and folders that exist.
        earlier: what this function gave before.
    """
    earlier = earlier or {}
    return {name: _stamp(root / name, earlier.get(name, {})) for name in names}


def unchanged(root: Path, recorded: dict[str, Stamp]) -> bool:
    """Whether all recorded outputs are there with the bytes that were recorded."""
    if not all((root / name).exists() for name in recorded):
        return False
    now = stamps(root, recorded, recorded)
    return all(now[name]["hash"] == recorded[name]["hash"] for name in recorded)


def mark(key: str, outputs: dict[str, Stamp]) -> str:
    """What later stages depend on: the key of this one, and the bytes it gave."""
    return text_hash(json.dumps([key, sorted((name, stamp["hash"]) for name, stamp in outputs.items())]))


def _stamp(path: Path, earlier: Stamp) -> Stamp:
    """A folder's is made of its files."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    looks = [[str(file.relative_to(path)), *_looks(file)] for file in files]
    if looks == earlier.get("looks"):
        return earlier
    contents = [[name, content_hash(file)] for (name, *_), file in zip(looks, files, strict=True)]
    return {"looks": looks, "hash": hashlib.sha256(json.dumps(contents).encode()).hexdigest()}


def _looks(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
