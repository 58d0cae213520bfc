"""What stages depend on, as text that changes with it: configs with all that they inherit, files, images."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import re
from pathlib import Path

from aligndet.common.errors import InputError
from aligndet.common.files import content_hash

FILE_FOLDER = re.compile(r"\{\{\s*fileDirname\s*\}\}")


def config_content(name: str) -> str:
    """Code of a config and of every config that its strings name (``_base_``, ``detector``), as text.

    Comments and layout do not count. Nothing is run, so this takes milliseconds, while mmengine reads all
    metafiles of mmdet for each ``'mmdet::…'`` that is inherited.

    Args:
        name: a file, or an installed config (``'mmdet::…'``).

    Raises:
        InputError: no such config, or no Python.
    """
    path = config_path(name)
    if path is None:
        raise InputError(f"{name}: no such config; give a file, or 'mmdet::folder/name.py'")
    codes: dict[Path, str] = {}
    _collect(path, codes)
    return json.dumps([[str(path), code] for path, code in codes.items()])


def config_path(name: str, folder: Path | None = None) -> Path | None:
    """The file of a config that is named by one in ``folder``; None where there is none."""
    package, installed, below = name.rpartition("::")
    if installed:
        return _installed(package, below)
    plain = os.path.expanduser(FILE_FOLDER.sub(str(folder or "."), name))
    places = [folder / plain, Path(plain)] if folder else [Path(plain)]
    return next((path.resolve() for path in places if path.is_file()), None)


def _installed(package: str, below: str) -> Path | None:
    """The file of ``package::below``, where packages of OpenMMLab keep their configs."""
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if not spec or not spec.origin:
        return None
    root = Path(spec.origin).parent
    places = (root / ".mim" / "configs" / below, root / "configs" / below)
    return next((path.resolve() for path in places if path.is_file()), None)


def _collect(path: Path, codes: dict[Path, str]) -> None:
    """Put the code of a config and of all that it names into ``codes``."""
    if path in codes:
        return
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise InputError(f"{path} is no Python config: {error}") from error
    codes[path] = ast.dump(tree)
    for node in ast.walk(tree):
        named = _named(node, path.parent)
        if named:
            _collect(named, codes)


def _named(node: ast.AST, folder: Path) -> Path | None:
    """The config that a string or a relative import (of new-style configs) names."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".py"):
        return config_path(node.value, folder)
    if isinstance(node, ast.ImportFrom) and node.level and node.module:
        file = Path(*[".."] * (node.level - 1), *node.module.split(".")).with_suffix(".py")
        return config_path(str(file), folder)
    return None


def images_content(root: Path, names: list[str]) -> str:
    """Hash of names, sizes and times of images; one that is not there counts as empty."""
    digest = hashlib.sha256()
    for name in names:
        try:
            status = (root / name).stat()
            entry = f"{name} {status.st_size} {status.st_mtime_ns}\n"
        except OSError:
            entry = f"{name} gone\n"
        digest.update(entry.encode(errors="surrogateescape"))
    return digest.hexdigest()


def path_content(path: Path) -> str:
    """Hash of a file's bytes; of a folder, the names, sizes and times of its files."""
    if path.is_file():
        return content_hash(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return images_content(path, [str(file.relative_to(path)) for file in files])


def text_hash(text: str) -> str:
    """A short hash of a text."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:20]
