"""Import a user's own modules, by name or as a config's ``custom_imports`` say, and name what is missing."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligndet.common.errors import InputError, nearest
from aligndet.common.notices import warn
from aligndet.common.search_path import allow_current_folder

if TYPE_CHECKING:
    from mmengine.config import Config

KEY = "custom_imports"
EXPECTED = "expected dict(imports=['my_project.my_module'])"
#: Modules that mmdet 2 and its time had, and that there are no more.
OF_MMDET_2 = (
    *("mmcv.runner", "mmcv.parallel", "mmcv.utils.registry", "mmcv.cnn.utils", "mmcls"),
    *("mmdet.core", "mmdet.models.builder", "mmdet.datasets.builder", "mmdet.datasets.pipelines"),
)


def import_modules(names: Iterable[str], said: str = "--import", beside: Path | None = None) -> None:
    """Import modules that register classes of the user's; the current folder is searched, behind all others.

    Args:
        names: dotted names, or one.
        said: where they were given, for errors.
        beside: a file of the user's project; a module that lies in one of its folders is pointed out.

    Raises:
        InputError: a module is not there or cannot be imported; names what it lacks and where.
    """
    allow_current_folder()
    for name in [names] if isinstance(names, str) else names:
        _import(name, said, beside)


def import_of_config(config: Config, name: str, options: Mapping[str, Any] | None = None) -> None:
    """Import what a config's ``custom_imports`` name, with what ``--cfg-options`` put over them merged in.

    Args:
        config: is given the options that begin with ``custom_imports``.
        name: of the config, for errors.
        options: dotted keys and values; the others are passed over.

    Raises:
        InputError: a module cannot be imported and ``allow_failed_imports`` is not set; or they are no list
            of names.
    """
    ours = {key: value for key, value in (options or {}).items() if key.split(".")[0] == KEY}
    said = "--cfg-options custom_imports" if ours else f"{name}: custom_imports"
    try:
        config.merge_from_dict(ours)
        names = imports_of(config)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{said}: {ours or config.get(KEY)}: {EXPECTED}") from error
    for name in names:
        try:
            import_modules([name], said, Path(config.filename or "."))
        except InputError as error:
            if not config[KEY].get("allow_failed_imports"):
                raise
            warn(f"{error}; it is passed over, as allow_failed_imports says")


def imports_of(config: Mapping[str, Any]) -> list[str]:
    """List the modules of a config's ``custom_imports``, which may be one name.

    Raises:
        TypeError: they are no list of names.
    """
    given = config.get(KEY) or {}
    names = (given.get("imports") or []) if isinstance(given, Mapping) else None
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"custom_imports {given}: {EXPECTED}")
    return list(names)


def add_imports(config: Config, names: Iterable[str]) -> None:
    """Write modules into a config's ``custom_imports``, so that whoever reads it builds the same model."""
    there = imports_of(config)
    new = [name for name in dict.fromkeys(names) if name not in there]
    if new:
        config[KEY] = {"allow_failed_imports": False, **(config.get(KEY) or {}), "imports": [*there, *new]}


def unregistered(error: BaseException) -> str:
    """Say that a class is in no registry, and which module of the current folder to import for it.

    Args:
        error: what mmengine's registries raised; the text is empty for any other error.
    """
    unknown = re.search(r"([\w.]+) is not in the ([\w: ]+?) registry", str(error))
    return f"{unknown[1]} is not registered in {unknown[2]}{hint_of_class(unknown[1])}" if unknown else ""


def hint_of_class(name: str) -> str:
    """Say in which scope a class is that was not found, or which module of the current folder registers it.

    Args:
        name: of the class; a scope before it is passed over.
    """
    bare = name.rpartition(".")[2]
    scopes = _scopes_with(bare)
    elsewhere = [f"{scope}.{bare}" for scope in (["mmdet"] if "mmdet" in scopes else scopes)]
    return f"; write {' or '.join(elsewhere)} for that one" if elsewhere else _module_of(bare)


def _scopes_with(name: str) -> list[str]:
    """Scopes whose registries hold a class of this name; nothing is imported for it."""
    from mmengine import registry as roots

    registries = [value for value in vars(roots).values() if isinstance(value, roots.Registry)]
    children = [child for registry in registries for child in registry.children.values()]
    return sorted({child.scope for child in children if name in child.module_dict})


def _module_of(name: str) -> str:
    """Say which module of the current folder registers a class of this name."""
    bare = re.escape(name)
    registers = re.compile(rf"register_module[\s\S]*(^class {bare}\b|name=['\"]{bare}['\"])", re.MULTILINE)
    for file in _python_files(Path.cwd()):
        if registers.search(file.read_text(encoding="utf-8", errors="replace")):
            module = ".".join(file.relative_to(Path.cwd()).with_suffix("").parts).removesuffix(".__init__")
            return f"; {file.relative_to(Path.cwd())} has it: give --import {module}, or custom_imports"
    return "; is its module in --import or custom_imports?"


def registers_classes(name: str) -> bool:
    """Say whether a module that this machine has registers classes; nothing is imported for it.

    Args:
        name: dotted, of a module or package of the current folder or an installed one.
    """
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        return False
    for root in (Path.cwd(), *map(Path, sys.path)):
        place = root.joinpath(*parts)
        if (place / "__init__.py").is_file():
            files = [*_python_files(place)]
        elif place.with_suffix(".py").is_file():
            files = [place.with_suffix(".py")]
        else:
            continue
        return any("register_module" in file.read_text(encoding="utf-8", errors="replace") for file in files)
    return False


def _python_files(folder: Path, most: int = 500) -> Iterator[Path]:
    """Python files that can be modules of a project, of the first folders below one, by name."""
    for place, folders, files in islice(os.walk(folder), most):
        folders[:] = sorted(name for name in folders if name.isidentifier())  # no .venv, no site-packages
        yield from (Path(place) / name for name in sorted(files) if name.endswith(".py"))


def _import(name: str, said: str, beside: Path | None) -> None:
    if advice := _no_module_name(name):
        raise InputError(f"{said} {name}: {advice}")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(f"{said} {name}: {_what_is_missing(name, error, beside)}") from error
    except (Exception, SystemExit) as error:  # a module is a program of the user
        raise InputError(f"{said} {name}: {_what_went_wrong(error)}") from error


def _no_module_name(name: str) -> str:
    """Say how a name is written that is a path, a list or nothing; empty where it is a module's."""
    if "," in name or not name.strip():
        return "expected one module's name; repeat the option for more"
    if name.endswith(".py") or "/" in name or "\\" in name:
        file = Path(name.removesuffix(".py"))
        if ".." in file.parts or file.is_absolute():
            return f"this is a path; give the module's name: {file.name}, with PYTHONPATH={file.parent}"
        return f"this is a path; give the module's name: {'.'.join(file.parts).removesuffix('.__init__')}"
    if name.startswith("."):
        return "expected a whole name, such as my_project.my_module"
    return ""


def _what_is_missing(name: str, error: ModuleNotFoundError, beside: Path | None) -> str:
    """Say whether a module is missing itself, or which one it wants, and how to mend it."""
    missing = error.name or str(error)
    if f"{name}.".startswith(f"{missing}."):
        return f"there is no module {missing}{_where(name, missing, beside)}"
    wants = f"{_line(error)} wants {missing}"
    if any(f"{missing}.".startswith(f"{old}.") for old in OF_MMDET_2):
        return f"{wants}, which is of mmdet 2; take the project's version for mmdet 3"
    package = missing.split(".")[0]
    if missing == package:
        return f"{wants}, which is not installed; install it (pip install {package}?)"
    if package == name.split(".")[0]:
        return f"{wants}, and there is no such module in {_found(package)}"
    return f"{wants}, which the installed {package} has not; is it the version that is expected there?"


def _where(name: str, missing: str, beside: Path | None) -> str:
    """Where a module lies that was not found, or what is spelt alike."""
    top, inside = name.split(".")[0], Path(*name.split("."))
    taken = _found(top) if "." in missing else None
    for folder in (Path.cwd(), *(beside.resolve().parents if beside else ())):
        if (folder / inside).is_dir() or (folder / inside).with_suffix(".py").is_file():
            shadow = f"; {top} is taken from {taken}" if taken else ""
            return f"{shadow}; it lies in {folder}: put PYTHONPATH={folder} before the command"
    parent = Path.cwd() / Path(*missing.split(".")[:-1])
    near = [file.stem for file in parent.glob("*") if file.suffix == ".py" or (file / "__init__.py").exists()]
    return nearest(missing.split(".")[-1], near) or "; is it installed, or in this folder or on PYTHONPATH?"


def _found(package: str) -> str | None:
    """The folder or file of an installed package."""
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    places = list(spec.submodule_search_locations or [spec.origin or ""]) if spec else []
    return places[0] if places else None


def _what_went_wrong(error: BaseException) -> str:
    """One line on an error in a user's module, with the line of its code."""
    if isinstance(error, SyntaxError):
        return f"{error.filename} line {error.lineno}: {error.msg}"
    if isinstance(error, SystemExit):
        return f"{_line(error, own=True)} ends the program; put that under if __name__ == '__main__'"
    text = next(iter(str(error).strip().splitlines()), "")
    if "already registered" in text:
        text += "; give register_module(force=True), or import the module under one name only"
    return f"{_line(error, own=True)}: {type(error).__name__}: {text}"


def _line(error: BaseException, own: bool = False) -> str:
    """The line of code that raised an error, or with ``own`` the last one outside of installed packages."""
    lines = [
        (frame.filename, f"{frame.filename} line {frame.lineno}")
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen") and frame.filename not in (__file__, importlib.__file__)
    ]
    libraries = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    users = [line for file, line in lines if not file.startswith(libraries)] if own else []
    return (users or [line for _, line in lines] or ["its code"])[-1]
