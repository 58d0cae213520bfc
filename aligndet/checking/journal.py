"""Rows that were finished, kept so that a run goes on where it was ended."""

from __future__ import annotations

import ast
import functools
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

#: What a row depends on, below the package: a change of code there makes rows stale.
SOURCES = (
    *("box_domain", "training", "ops", "synthetic", "configs/_base_", "registry.py", "scopes.py"),
    *("common/checkpoints.py", "common/config_text.py", "common/configs.py", "common/modules.py"),
    *("common/other_programs.py", "common/signatures.py", "common/views.py"),
    *("proposals/mapping.py", "proposals/store.py", "proposals/store_meta.py", "proposals/store_writer.py"),
    "image_domain/normalisation.py",
    *("transfer/export.py", "transfer/fit.py", "transfer/source.py", "transfer/stock.py"),
    *("checking/check.py", "checking/conditions.py", "checking/data.py", "checking/landing.py"),
    *("checking/setting.py", "checking/watch.py", "checking/zoo.py"),
)


def versions() -> dict[str, str]:
    """What decides whether a detector builds and trains."""
    modules = {"mmdet": mmdet, "mmcv": mmcv, "mmengine": mmengine, "aligndet": aligndet}
    numbers = {name: str(module.__version__) for name, module in modules.items()}
    return {**numbers, "torch": torch.__version__.split("+")[0]}


@functools.cache
def source_hash() -> str:
    """Changes with the code that rows depend on, and not with its comments, docstrings and layout."""
    root = Path(aligndet.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(file for name in SOURCES for file in _files(root / name)):
        digest.update(path.relative_to(root).as_posix().encode() + code_of(path).encode())
    return digest.hexdigest()[:16]


def code_of(path: Path) -> str:
    """A Python file's statements, without what does not run."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(node: ast.AST) -> bool:
    """A docstring, or any other text that nobody reads."""
    constant = node.value if isinstance(node, ast.Expr) else None
    return isinstance(constant, ast.Constant) and isinstance(constant.value, str)


class Journal:
    """Finished rows in a file, one JSON object per line; a line that was cut off is ignored.

    Args:
        path: the file; made with its folder.
        state: of versions and source; rows of another one are passed over.
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

    def rows(self) -> dict[str, Row]:
        """The latest row of every key."""
        latest = {}
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else ():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            if entry["state"] == self.state:
                latest[entry["key"]] = Row.from_dict(entry["row"])
        return latest


def state() -> str:
    """Names the state of versions and source that rows depend on."""
    return " ".join([*(f"{name} {version}" for name, version in versions().items()), source_hash()])


def _files(path: Path) -> Iterable[Path]:
    return path.rglob("*.py") if path.is_dir() else [path]
