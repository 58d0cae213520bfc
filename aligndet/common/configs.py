"""Read configs by file or by package (``mmdet::…``, ``aligndet::…``) and name mistakes in one line."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from aligndet.common.errors import InputError, nearest
from aligndet.common.literal_config import HeldCodeError, parse_literals
from aligndet.common.modules import add_imports, import_modules, import_of_config, imports_of
from aligndet.common.other_programs import program_of, refuse_other_programs, refuse_other_tasks
from aligndet.common.search_path import allow_current_folder
from aligndet.common.trust import TRUST, trusted

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = [
    "add_imports",
    "config_of_text",
    "import_modules",
    "import_of_config",
    "imports_of",
    "locate_config",
    "model_of",
    "parse_config",
    "read_config",
    "read_model",
]

SUFFIXES = (".py", ".json", ".yaml", ".yml")
HOW = "give a file, or mmdet::folder/name.py, or aligndet::folder/name.py"


def read_config(name: str, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config file, or one of a package, and import what its ``custom_imports`` name.

    Args:
        name: a file, or ``mmdet::retinanet/retinanet_r50_fpn_1x_coco.py``.
        options: of ``--cfg-options``. Those that begin with ``custom_imports`` are merged, for modules are
            imported before anything is looked up; the others are left to whoever merges them.

    Raises:
        InputError: there is no such config, it cannot be read, it is for another program, or a module that
            it imports is missing.
    """
    from mmengine.config import Config

    path = locate_config(name)
    allow_current_folder()
    try:
        config = Config.fromfile(str(path), import_custom_modules=False)
    except Exception as error:  # a config is a program of the user
        text = path.read_text(encoding="utf-8", errors="replace")
        raise InputError(f"config {name}: {program_of(text) or _reason(error)}") from error
    refuse_other_programs(name, config)
    import_of_config(config, f"config {name}", options)
    return config


def config_of_text(text: str, source: str) -> Config:
    """Read the config that stands in a checkpoint: its literals, importing nothing.

    Where files are trusted it is run, as mmengine does, and what its ``custom_imports`` name is imported.

    Args:
        text: as ``meta['cfg']`` of mmengine's checkpoints.
        source: of the text, for errors.

    Raises:
        InputError: it is no config or holds code; or it is trusted, and a module that it imports is missing.
    """
    try:
        if not trusted():
            return parse_literals(text)
        config = parse_config(text)
    except HeldCodeError as error:
        raise InputError(f"{source}: the config in it: {error}; {TRUST}") from error
    except Exception as error:
        raise InputError(f"{source}: the config in it: {_reason(error)}") from error
    import_of_config(config, f"{source}: the config in it")
    return config


def parse_config(text: str) -> Config:
    """Run a config's text, as ``Config.fromstring`` does, and import nothing for it."""
    from mmengine.config import Config

    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.py"
        path.write_text(text, encoding="utf-8")
        return Config.fromfile(str(path), import_custom_modules=False)


def read_model(name: str) -> Any:
    """Read the ``model`` of a config.

    Raises:
        InputError: as :func:`read_config`, or the config has no model.
    """
    return model_of(read_config(name), name)


def model_of(config: Config, name: str) -> Any:
    """Give the ``model`` of a config.

    Raises:
        InputError: it has none, or that of another task.
    """
    if not isinstance(config.get("model"), dict):
        raise InputError(f"config {name}: it has no model; give a config that trains a detector")
    refuse_other_tasks(name, config)
    return config.model


def locate_config(name: str) -> Path:
    """Find the file of a config, without reading it and without loading any package.

    Raises:
        InputError: there is none of this name; the nearest name is suggested.
    """
    if "::" in name:
        return _in_package(*name.split("::", 1))
    path = Path(name).expanduser()
    if path.is_dir():
        raise InputError(f"config {name}: this is a folder; {HOW}")
    if not path.is_file():
        beside = [str(file) for file in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise InputError(f"config {name}: no such file{nearest(str(path), beside)}; {HOW}")
    if path.suffix not in SUFFIXES:
        raise InputError(f"config {name}: expected a file that ends in {', '.join(SUFFIXES)}; {HOW}")
    return path


def _in_package(package: str, inside: str) -> Path:
    """The file of a config that an installed package brings along, in its ``.mim`` folder."""
    folder = _configs_of(package)
    if folder is None:
        known = [other for other in ("mmdet", "mmpretrain", "aligndet") if _configs_of(other)]
        raise InputError(
            f"config {package}::{inside}: no installed package {package} with configs"
            f"{nearest(package, known)}; {HOW}"
        )
    path = folder / inside
    if not path.is_file() or path.suffix not in SUFFIXES:
        names = [file.relative_to(folder).as_posix() for file in folder.rglob("*.py")]
        raise InputError(f"config {package}::{inside}: {package} has no such config{nearest(inside, names)}")
    return path


def _configs_of(package: str) -> Path | None:
    """The folder of a package's configs; the package is not imported."""
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / ".mim" / "configs"
        if folder.is_dir():
            return folder
    return None


def _reason(error: BaseException) -> str:
    """What is wrong in a config, in one line; a module that is missing counts more than what it led to."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, ModuleNotFoundError):
            return f"{cause} (is it installed, and on PYTHONPATH?)"
        cause = cause.__cause__ or cause.__context__
    first = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first[:300]}" if first else type(error).__name__
