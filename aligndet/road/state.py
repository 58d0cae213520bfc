"""What stands in a stage's folder, and whether it still does: `stage.json`.

It holds the key of the inputs, whether the stage is done, how long it took, and size, time and hash of every
output. An output counts as unchanged when size and time are, or else when its bytes are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aligndet.common.files import content_hash, write_text

FILE = "stage.json"
Stamp = dict[str, Any]


def read_state(folder: Path) -> dict[str, Any] | None:
    """What `stage.json` says; empty if there is no folder, None if it holds files and no `stage.json`."""
    path = folder / FILE
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        strange = folder.is_dir() and any(folder.iterdir()) and not path.exists()
        return None if strange else {}


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write `stage.json`."""
    write_text(folder / FILE, json.dumps(state))


def stamps(paths: Iterable[Path], known: dict[str, Stamp] | None = None) -> dict[str, Stamp]:
    """Size, time and hash of outputs by path; where nothing looks changed, those of ``known``."""
    known = known or {}
    return {str(path): _stamp(path, known.get(str(path), {})) for path in paths}


def unchanged(paths: Iterable[Path], known: dict[str, Stamp]) -> bool:
    """Whether all outputs are there with the bytes that were recorded."""
    paths = list(paths)
    if not all(path.exists() for path in paths):
        return False
    now = stamps(paths, known)
    return all(str(path) in known and now[str(path)]["hash"] == known[str(path)]["hash"] for path in paths)


def mark(key: str, outputs: dict[str, Stamp]) -> str:
    """What later stages depend on: the inputs of this one, and the bytes it gave."""
    text = json.dumps([key, sorted((path, stamp["hash"]) for path, stamp in outputs.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _stamp(path: Path, known: Stamp) -> Stamp:
    """A folder's is made of the names, sizes and times of its files; its hash, of their bytes."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    looks = [[str(file.relative_to(path)), *_looks(file)] for file in files]
    if looks == known.get("looks"):
        return known
    contents = [[name, content_hash(file)] for (name, *_), file in zip(looks, files, strict=True)]
    return {"looks": looks, "hash": hashlib.sha256(json.dumps(contents).encode()).hexdigest()}


def _looks(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
