"""A user's modules are imported by name, and one that cannot be imported is one line that says why.

Kind: a project whose classes are registered by its own code, which knows nothing of aligndet: the module is
given as a path, is missing, wants a package that is not there or one of mmdet 2, or has a mistake of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from aligndet.common.configs import add_imports, import_modules, read_config
from aligndet.common.errors import InputError

MODULES = {
    "__init__": "",
    "net": "LOADED = True",
    "wants": "import no_such_package_xyz",
    "through": "import own_library.wants",
    "old": "from mmcv.runner import BaseModule",
    "lacks": "import own_library.gone",
    "version": "from os import no_such_name",
    "typo": "value = undefined",
    "ends": "import sys\nsys.exit(2)",
    "syntax": "def (",
    "twice": "from mmengine.registry import HOOKS\n"
    "for _ in '12':\n    HOOKS.register_module(name='T', module=dict)",
}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a library, in which the command is typed."""
    library = tmp_path / "own_library"
    library.mkdir()
    for name, text in MODULES.items():
        (library / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in [name for name in sys.modules if name.startswith("own_library")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def test_modules_of_the_current_folder_are_found() -> None:
    import_modules(["own_library.net"])
    assert sys.modules["own_library.net"].LOADED
    assert sys.path[0] != str(Path.cwd())  # a user's ssl.py is not taken for Python's


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own_library/net.py", "give the module's name: own_library.net"),
        ("./own_library/__init__.py", "give the module's name: own_library"),
        ("own_library.net,own_library.old", "repeat the option"),
        ("own_library.nett", r"no module own_library.nett \(did you mean 'net'\?\)"),
        ("own_librari.net", r"no module own_librari \(did you mean 'own_library'\?\)"),
        ("own_library.wants", r"own_library/wants.py line 1 wants no_such_package_xyz, .*not installed"),
        ("own_library.through", r"own_library/wants.py line 1 wants no_such_package_xyz"),
        ("own_library.old", r"old.py line 1 wants mmcv.runner, which is of mmdet 2"),
        ("own_library.lacks", r"lacks.py line 1 wants own_library.gone, and there is no such module"),
        ("own_library.version", r"version.py line 1: ImportError: cannot import name 'no_such_name'"),
        ("own_library.typo", r"typo.py line 1: NameError: name 'undefined'"),
        ("own_library.ends", r"ends.py line 2 ends the program"),
        ("own_library.syntax", r"syntax.py line 1: invalid syntax"),
        ("own_library.twice", r"twice.py line 3: KeyError: .*already registered.*force=True"),
    ],
)
def test_what_keeps_a_module_from_being_imported_is_one_line(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        import_modules([name])
    assert str(caught.value).startswith(f"--import {name}: ")
    assert "\n" not in str(caught.value)


def test_a_module_beside_the_config_but_not_here_is_pointed_out(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "configs").mkdir()
    config = project / "configs" / "mine.py"
    config.write_text("custom_imports = dict(imports='own_library.net')\nmodel = dict(type='X')\n")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(InputError, match=f"put PYTHONPATH={project} before the command") as caught:
        read_config(str(config))
    assert "mine.py: custom_imports own_library.net" in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"custom_imports.imports": "own_library.net"},
        {"custom_imports.imports": ["own_library.net"]},
        {"custom_imports": {"imports": ["own_library.net"]}},
        {"custom_imports.imports": ("own_library.net",), "model.nobody": 1},
    ],
)
def test_custom_imports_of_cfg_options_are_imported_when_the_config_is_read(
    options: dict[str, object], project: Path
) -> None:
    """Kind: the modules stand in no config but in ``--cfg-options``, as of a project's own start script."""
    (project / "mine.py").write_text("custom_imports = dict(imports=['os'])\nmodel = dict(type='X')\n")
    config = read_config("mine.py", options)
    assert sys.modules["own_library.net"].LOADED
    assert "own_library.net" in config.custom_imports.imports
    assert "nobody" not in config.model


def test_custom_imports_that_are_no_list_of_names_are_refused(project: Path) -> None:
    (project / "mine.py").write_text("custom_imports = dict(imports=['os'])\nmodel = dict(type='X')\n")
    for options in (
        {"custom_imports.imports": 3},
        {"custom_imports.imports.0": "x"},
        {"custom_imports": "x"},
    ):
        with pytest.raises(InputError, match=r"custom_imports.*expected dict\(imports="):
            read_config("mine.py", options)


def test_failed_imports_that_are_allowed_are_told_and_passed_over(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imports = "custom_imports = dict(imports=['own_library.wants'], allow_failed_imports=True)"
    (project / "mine.py").write_text(f"{imports}\nmodel = dict(type='X')\n")
    assert read_config("mine.py").model.type == "X"
    assert "wants no_such_package_xyz" in capsys.readouterr().err


def test_modules_are_written_into_a_config_once() -> None:
    config = Config({"custom_imports": {"imports": "os", "allow_failed_imports": True}})
    add_imports(config, ["own_library.net", "os", "own_library.net"])
    assert config.custom_imports == {"imports": ["os", "own_library.net"], "allow_failed_imports": True}
    plain = Config({"model": {}})
    add_imports(plain, [])
    assert "custom_imports" not in plain
    add_imports(plain, ["own_library.net"])
    assert plain.custom_imports == {"imports": ["own_library.net"], "allow_failed_imports": False}
