"""What a stage depends on, as text that changes when it does: configs with all their bases, files, images."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from aligndet.proposals.images import SUFFIXES

CONFIG_DEPTH = 3  # a pre-training config names a detector config, which may name another


def config_content(name: str, root: Path) -> str:
    """A config with everything it inherits, as one JSON text; configs that its values name are put in, too.

    Args:
        name: a file, absolute or below ``root``, or an installed one (``'mmdet::…'``).
        root: folder that relative names are of.

    Raises:
        FileNotFoundError: no such config.
    """
    return json.dumps(_content(name, root, CONFIG_DEPTH), sort_keys=True, default=str)


def _content(name: str, root: Path, depth: int) -> Any:
    from aligndet.configs import read_config

    config = read_config(name if "::" in name else str(root / name))
    return _with_named(config.to_dict(), root, depth)


def _with_named(node: Any, root: Path, depth: int) -> Any:
    if isinstance(node, dict):
        return {str(key): _with_named(value, root, depth) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_with_named(item, root, depth) for item in node]
    if depth and isinstance(node, str) and is_config(node, root):
        return [node, _content(node, root, depth - 1)]
    return node


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


def file_content(path: Path) -> str:
    """Hash of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
