"""The import hook: who answers ``import mmcv._ext``, and what is said when nobody can."""

import ast
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path

import mmcv
import pytest

from aligndet import ops
from aligndet.ops import table
from aligndet.ops.finder import EXTENSION, OpsFinder, StandInLoader, has_compiled_operators, install


def find(folder: Path) -> ModuleSpec:
    spec = OpsFinder().find_spec(EXTENSION, [str(folder)])
    assert spec is not None
    return spec


def test_stand_in_without_compiled_operators(tmp_path: Path) -> None:
    assert isinstance(find(tmp_path).loader, StandInLoader)


def test_compiled_operators_win(tmp_path: Path) -> None:
    (tmp_path / "_ext.py").write_text("real = True")
    spec = find(tmp_path)
    module = module_from_spec(spec)
    assert spec.loader is not None
    spec.loader.exec_module(module)
    assert module.real


def test_broken_library_is_explained(tmp_path: Path) -> None:
    library = tmp_path / f"_ext{EXTENSION_SUFFIXES[0]}"
    library.write_bytes(b"not a library")
    with pytest.raises(ImportError, match=r"another torch.*make setup OPS=compiled") as caught:
        module_from_spec(find(tmp_path))
    assert str(library) in str(caught.value)


def test_other_modules_are_none_of_its_business() -> None:
    assert OpsFinder().find_spec("mmcv.ops", ["anywhere"]) is None


def test_installed_once() -> None:
    install()
    assert sum(isinstance(finder, OpsFinder) for finder in sys.meta_path) == 1


def test_missing_operator_names_itself_and_the_cure() -> None:
    with pytest.raises(NotImplementedError, match=r"'roi_pool_forward'.*make setup OPS=compiled"):
        table.missing_operator("roi_pool_forward")(1, x=2)


def test_every_name_mmcv_asks_for_can_be_imported() -> None:
    module = module_from_spec(ModuleSpec(EXTENSION, StandInLoader()))
    StandInLoader().exec_module(module)
    asked = set()
    for path in Path(mmcv.__path__[0], "ops").glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "load_ext":
                asked |= set(ast.literal_eval(call.args[1]))
    assert set(table.OPERATORS) <= asked
    assert all(callable(getattr(module, name)) for name in asked)


def test_config_for_tools_of_others_asks_for_the_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "has_compiled_operators", lambda: False)
    assert ops.stand_in_imports() == {"imports": ["aligndet"], "allow_failed_imports": True}
    monkeypatch.setattr(ops, "has_compiled_operators", lambda: True)
    assert ops.stand_in_imports() is None


def test_compiled_operators_are_looked_for_beside_mmcv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: ModuleSpec(name, None, is_package=True))
    assert not has_compiled_operators()
    package = ModuleSpec("mmcv", None, is_package=True)
    package.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: package)
    assert not has_compiled_operators()
    (tmp_path / "_ext.py").touch()
    assert has_compiled_operators()
