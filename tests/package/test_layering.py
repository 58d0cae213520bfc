"""The import law: which part of the package may import which, read from the source without running it.

Imports inside functions count too, those under ``if TYPE_CHECKING`` for all but circles.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OPENMMLAB = {"mmengine", "mmcv", "mmdet", "mmpretrain"}
LEARNING = {"torch", "torchvision", "timm", "sklearn"} | OPENMMLAB

# module or package -> what it may not import (top-level names, or modules of this package)
LAW = {
    "aligndet": LEARNING | {"numpy", "cv2"},
    "aligndet.proposals": LEARNING | {"aligndet.box_domain", "aligndet.image_domain", "aligndet.transfer"},
    "aligndet.box_domain.contrast": OPENMMLAB | {"aligndet.registry", "aligndet.box_domain.pretrainer"},
    "aligndet.box_domain.slots": OPENMMLAB | {"aligndet.registry", "aligndet.box_domain.pretrainer"},
    "aligndet.box_domain": {"aligndet.transfer", "aligndet.visualization"},
    "aligndet.image_domain": {"aligndet.box_domain", "aligndet.transfer"},
    "aligndet.ops": {"mmengine", "mmdet", "mmpretrain", "aligndet.box_domain", "aligndet.registry"},
    "aligndet.registry": {"aligndet.box_domain", "mmdet", "torch"},
}
EXACT = {"aligndet"}  # only the file itself, not the modules below it


def modules() -> dict[str, Path]:
    """Dotted name of every module of the package and its file."""
    found = {}
    for path in sorted((ROOT / "aligndet").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(name: str, with_types: bool = True) -> Iterator[str]:
    """Absolute names of what module ``name`` imports, also modules taken by ``from package import module``.

    ``with_types=False`` leaves out what stands under ``if TYPE_CHECKING``, which is never run.
    """
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in walk(ast.parse(path.read_text(encoding="utf-8")), with_types):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            submodules = [f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}" in MODULES]
            yield from submodules or [base]


def walk(node: ast.AST, with_types: bool) -> Iterator[ast.AST]:
    """All nodes below ``node``; those under ``if TYPE_CHECKING`` only ``with_types``."""
    yield node
    typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    for child in ast.iter_child_nodes(node):
        if with_types or not typing_only:
            yield from walk(child, with_types)


def below(name: str, group: str) -> bool:
    return name == group or name.startswith(f"{group}.")


@pytest.mark.parametrize("group", LAW)
def test_forbidden_imports(group: str) -> None:
    members = [name for name in MODULES if name == group or (group not in EXACT and below(name, group))]
    breaches = [
        f"{name} imports {target}"
        for name in members
        for target in imported(name)
        for banned in LAW[group]
        if below(target, banned)
    ]
    assert not breaches


def test_nothing_imports_tools_or_tests() -> None:
    targets = {(name, target) for name in MODULES for target in imported(name)}
    assert not [pair for pair in targets if pair[1].split(".")[0] in {"tools", "tests", "benchmarks"}]


def test_heads_are_named_in_adapters_only() -> None:
    """mmdet's heads may be imported by the adapters and nobody else."""
    places = ("mmdet.models.dense_heads", "mmdet.models.roi_heads")
    for name in MODULES:
        if not below(name, "aligndet.box_domain.adapters"):
            assert not [target for target in imported(name) for place in places if below(target, place)], name


def test_no_cycles() -> None:
    graph = {
        name: {t for t in imported(name, with_types=False) if t in MODULES and t != name} for name in MODULES
    }
    while leaves := [name for name, targets in graph.items() if not targets & set(graph)]:
        for name in leaves:
            del graph[name]
    assert not graph, f"modules that import each other in a circle: {sorted(graph)}"


def test_tools_import_the_package_first() -> None:
    """``import aligndet`` must come before mmcv and mmdet, because it installs the operator stand-in."""
    for path in sorted((ROOT / "tools").glob("*.py")):
        names = []
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names += [(node.lineno, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names.append((node.lineno, node.module or ""))
        third_party = [name.split(".")[0] for _, name in sorted(names)]
        heavy = [index for index, name in enumerate(third_party) if name in {"mmcv", "mmdet", "mmpretrain"}]
        assert not heavy or "aligndet" in third_party[: heavy[0]], path.name
