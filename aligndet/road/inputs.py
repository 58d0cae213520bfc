"""What a stage depends on, as text that changes when it does: configs with all their bases, files, images."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import re
from pathlib import Path

from aligndet.common.images import SUFFIXES

FILE_FOLDER = re.compile(r"\{\{\s*fileDirname\s*\}\}")


def config_content(name: str, root: Path) -> str:
    """Code of a config and of every config that its strings name (``_base_``, ``detector``), as text.

    Comments and layout do not count. Nothing is run, so this takes milliseconds, while mmengine reads all
    metafiles of mmdet for each ``'mmdet::…'`` that is inherited.

    Args:
        name: a file, absolute or below ``root``, or an installed one (``'mmdet::…'``).
        root: folder that relative names are of, besides the config's own folder.

    Raises:
        FileNotFoundError: no such config.
        ValueError: a config is no Python.
    """
    path = config_path(name, root, root)
    if path is None:
        raise FileNotFoundError(f"Config not found: {name}. Give a file, or 'mmdet::folder/name.py'.")
    found: dict[Path, str] = {}
    _collect(path, root, found)
    return json.dumps([[str(path), code] for path, code in found.items()])


def config_path(name: str, here: Path, root: Path) -> Path | None:
    """The file of a config that is named in folder ``here``; None where there is none."""
    package, installed, below = name.rpartition("::")
    if installed:
        spec = importlib.util.find_spec(package) if package.isidentifier() else None
        origin = Path(spec.origin).parent if spec and spec.origin else None
        places = [origin / ".mim" / "configs" / below] if origin else []
    else:
        plain = FILE_FOLDER.sub(str(here), name)
        places = [here / plain, root / plain]
    return next((path.resolve() for path in places if path.is_file()), None)


def _collect(path: Path, root: Path, found: dict[Path, str]) -> None:
    """Put a config and all that it names into ``found``."""
    if path in found:
        return
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise ValueError(f"{path} is no Python config: {error}") from error
    found[path] = ast.dump(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".py"):
            named = config_path(node.value, path.parent, root)
            if named:
                _collect(named, root, found)


def is_config(word: str, root: Path) -> bool:
    """Whether a word names a config: ``'mmdet::….py'``, or a Python file that is there and is no tool's."""
    if not word.endswith(".py") or word.startswith("tools/"):
        return False
    return "::" in word or (root / word).is_file()


def images_content(folder: Path) -> str:
    """Hash of names, sizes and times of all images below a folder; links to folders are followed."""
    digest = hashlib.sha256()
    for here, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        for name in sorted(files):
            if os.path.splitext(name)[1].lower() in SUFFIXES:
                path = Path(here, name)
                status = path.stat()
                entry = f"{path.relative_to(folder)} {status.st_size} {status.st_mtime_ns}\n"
                digest.update(entry.encode(errors="surrogateescape"))
    return digest.hexdigest()
