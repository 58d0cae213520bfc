"""What pyproject.toml declares is what the package imports, read from the source; every pin says why."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTION = {
    "cv2": "opencv-python",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
    "distributed": "dask",
    "PIL": "pillow",
}
FAMILIES = {
    "mmengine": {"onedl-mmengine", "mmengine"},
    "mmcv": {"onedl-mmcv", "mmcv-lite"},
    "mmdet": {"onedl-mmdetection", "mmdet"},
    "mmpretrain": {"onedl-mmpretrain", "mmpretrain"},
}
# extras that name what the package does not import itself, and why they are there
NOT_IMPORTED = {
    "setuptools": "pkg_resources, for mmengine 0.10.7",
    "scikit-image": "selectivesearch imports it and does not declare it",
    "tensorboard": "mmengine's TensorboardVisBackend",
    "wandb": "mmengine's WandbVisBackend",
    "mlflow": "mmengine's MLflowVisBackend",
}
FOR_DEVELOPERS = ("dev", "docs")


def project() -> dict[str, object]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def names(lines: object) -> set[str]:
    assert isinstance(lines, list)
    return {re.split(r"[^\w.-]", line, maxsplit=1)[0].lower() for line in lines}


def hard() -> set[str]:
    return names(project()["dependencies"])


def extras(leave_out: tuple[str, ...] = FOR_DEVELOPERS) -> dict[str, set[str]]:
    table = project()["optional-dependencies"]
    assert isinstance(table, dict)
    return {extra: names(lines) for extra, lines in table.items() if extra not in leave_out}


def imports(node: ast.AST, functions: bool) -> Iterator[str]:
    """Top-level names that are imported below ``node``, with or without those in functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield (child.module or "").partition(".")[0]
        elif functions or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imports(child, functions)


def imported(functions: bool = True) -> dict[str, str]:
    """Third-party modules that the package imports, and a file that does."""
    files = [path for path in (ROOT / "aligndet").rglob("*.py") if "configs" not in path.parts]
    return {
        name: str(path.relative_to(ROOT))
        for path in files
        for name in imports(ast.parse(path.read_text(encoding="utf-8")), functions)
        if name not in sys.stdlib_module_names and name != "aligndet"
    }


def test_every_import_is_declared() -> None:
    declared = hard().union(*extras().values())
    missing = {
        name: file
        for name, file in imported().items()
        if not (FAMILIES.get(name) or {DISTRIBUTION.get(name, name)}) <= declared
    }
    assert not missing


def test_what_a_module_needs_to_be_imported_is_no_extra() -> None:
    """Only a function may need what an extra brings; it says so when that is missing."""
    optional = {name: file for name, file in imported(functions=False).items() if name not in FAMILIES}
    missing = {name: file for name, file in optional.items() if DISTRIBUTION.get(name, name) not in hard()}
    assert not missing


def test_every_requirement_is_imported() -> None:
    used = {DISTRIBUTION.get(name, name) for name in imported()} | set().union(*FAMILIES.values())
    assert hard() - used == set()
    assert set().union(*extras().values()) - used == set(NOT_IMPORTED)


def test_no_openmmlab_family_is_a_hard_requirement() -> None:
    assert not hard() & set().union(*FAMILIES.values())
    assert all(
        len(names & extras()[family]) == 1 for names in FAMILIES.values() for family in ("onedl", "openmmlab")
    )


@pytest.mark.parametrize(
    "extra", ["dask", "selectivesearch", "timm", "tensorboard", "wandb", "mlflow", "docs", "dev"]
)
def test_optional_parts_are_extras(extra: str) -> None:
    assert extras(())[extra]


def test_every_hard_requirement_is_pinned() -> None:
    """The tested set names all that is imported; what it pins fits what pyproject.toml allows."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([\w.-]+)(?:\[\w+\])?==([\w.]+)", text, re.MULTILINE))
    lines = project()["dependencies"]
    assert isinstance(lines, list)
    for line in lines:
        name, _, floor = line.partition(">=")
        assert name in pins, f"{name} has no pin"
        assert _version(pins[name]) >= _version(floor), line


def _version(text: str) -> list[int]:
    return [int(part) for part in text.split(".")]
