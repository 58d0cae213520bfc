"""The package as it is imported: light, lazy, typed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import aligndet

PACKAGE = Path(aligndet.__file__).parent
FUNCTIONS = {"pretrain", "make_proposals", "export", "compare", "check"}


def fresh(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout.strip()


@pytest.mark.parametrize("code", ["import aligndet", "import aligndet; dir(aligndet); aligndet.InputError"])
def test_importing_loads_nothing_heavy(code: str) -> None:
    heavy = ("torch", "mmcv", "mmengine", "mmdet", "numpy", "numba", "cv2", "rich")
    assert fresh(f"import sys; {code}; print([m for m in {heavy} if m in sys.modules])") == "[]"


def test_the_functions_are_those_of_the_api() -> None:
    from aligndet import api

    assert set(aligndet.__all__) == FUNCTIONS | {"InputError", "__version__"}
    assert all(getattr(aligndet, name) is getattr(api, name) for name in FUNCTIONS)
    assert set(aligndet.__all__) <= set(dir(aligndet))


def test_the_api_loads_nothing_heavy_before_it_is_called() -> None:
    heavy = ("torch", "mmcv", "mmengine", "mmdet", "numpy")
    code = f"import sys, aligndet; aligndet.pretrain; print([m for m in {heavy} if m in sys.modules])"
    assert fresh(code) == "[]"


def test_type_checkers_see_the_same_names() -> None:
    """What stands under TYPE_CHECKING is what ``__getattr__`` gives."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    names = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for line in node.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    assert names == FUNCTIONS | {"InputError"}
    assert (PACKAGE / "py.typed").is_file()


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'aligndet' has no attribute 'pretrian'"):
        getattr(aligndet, "pretrian")  # noqa: B009  a type checker refuses it as an attribute
