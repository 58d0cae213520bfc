"""Rows that were finished, kept so that a run goes on where it was ended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import mmcv
import mmdet
import mmengine
import torch

import aligndet
from aligndet.checking.row import Row

#: What a row depends on, below the package: a change there makes rows stale.
SOURCES = (
    *("box_domain", "ops", "common/configs.py", "configs/_base_"),
    *("transfer/fit.py", "transfer/report.py", "transfer/source.py", "transfer/stock.py"),
    *("checking/batch.py", "checking/check.py", "checking/conditions.py", "checking/zoo.py"),
)


def versions() -> dict[str, str]:
    """What decides whether a detector builds and trains."""
    modules = {"mmdet": mmdet, "mmcv": mmcv, "mmengine": mmengine, "aligndet": aligndet}
    numbers = {name: str(module.__version__) for name, module in modules.items()}
    return {**numbers, "torch": torch.__version__.split("+")[0]}


def source_hash() -> str:
    """Changes with the source files that rows depend on."""
    root = Path(aligndet.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(file for name in SOURCES for file in _files(root / name)):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


class Journal:
    """Finished rows in a file, one JSON object per line; a line that was cut off is ignored.

    Args:
        path: the file; made with its folder.
        state: rows of another state of versions and source are stale.
    """

    def __init__(self, path: Path, state: str) -> None:
        self.path, self.state = path, state
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.read_bytes().endswith(b"\n"):
            with path.open("a") as file:
                file.write("\n")  # so that the next row does not continue one that was cut off

    def add(self, key: str, row: Row) -> None:
        """Keep a row under its model's key."""
        line = json.dumps({"key": key, "state": self.state, "row": row.to_dict()})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def rows(self, stale: bool = False) -> dict[str, Row]:
        """The latest row of every key; ``stale`` takes those of other states too."""
        latest = {}
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else ():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            if stale or entry["state"] == self.state:
                latest[entry["key"]] = Row.from_dict({**entry["row"], "stale": entry["state"] != self.state})
        return latest


def state() -> str:
    """Names the state of versions and source that rows depend on."""
    return " ".join([*(f"{name} {version}" for name, version in versions().items()), source_hash()])


def _files(path: Path) -> Iterable[Path]:
    return path.rglob("*.py") if path.is_dir() else [path]
