"""The import law: which room of the package may import which, read from the source without running it.

docs/architecture.md draws the floors. Imports inside functions and under ``if TYPE_CHECKING`` count, and so
do modules named in a string, because they are imported or started by that name.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# top to bottom: a room imports rooms of lower floors only, so none of its own floor either
FLOORS = (
    ("__main__",),
    ("cli",),
    ("api",),
    ("pipeline",),
    ("checking", "comparison"),
    ("visualization",),
    ("transfer", "evaluation"),
    ("training",),
    ("box_domain",),
    ("image_domain",),
    ("labels", "synthetic"),
    ("proposals",),
    ("doctor", "scopes"),
    ("common",),
    ("ops", "registry"),
)
FLOOR = {room: number for number, rooms in enumerate(reversed(FLOORS)) for room in rooms}

OPENMMLAB = {"mmengine", "mmcv", "mmdet", "mmpretrain"}
LEARNING = {"torch", "torchvision", "timm", "sklearn"} | OPENMMLAB
HEAVY = LEARNING | {
    "numpy",
    "numba",
    "cv2",
    "scipy",
    "skimage",
    "matplotlib",
    "dask",
    "distributed",
    "pandas",
}

# module or package -> packages of others that it may not import, anywhere
WITHOUT = {
    "aligndet.proposals": LEARNING,
    "aligndet.labels": LEARNING,
    "aligndet.synthetic": LEARNING,
    "aligndet.common": {"mmcv", "mmdet", "mmpretrain"},
    "aligndet.ops": {"mmengine", "mmdet", "mmpretrain"},
    "aligndet.box_domain.contrast": HEAVY - {"torch"},
    "aligndet.box_domain.slots": HEAVY - {"torch"},
}
ADDRESS_BOOKS = ("aligndet", "aligndet.registry")  # they name modules of upper floors, and load none of them


@cache
def modules() -> dict[str, Path]:
    """Dotted name of every module of the package and its file; configs are data."""
    files = sorted((ROOT / "aligndet").rglob("*.py"))
    code = [path for path in files if not {"configs", ".mim"} & set(path.relative_to(ROOT).parts[:-1])]
    return {dotted(path.relative_to(ROOT).with_suffix("").parts): path for path in code}


def dotted(parts: tuple[str, ...]) -> str:
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


def nodes(root: ast.AST, types: bool = True, functions: bool = True) -> Iterator[ast.AST]:
    """All nodes at and below ``root``; without ``types`` not those under ``if TYPE_CHECKING``, without
    ``functions`` not those in the bodies of functions."""
    yield root
    for child in ast.iter_child_nodes(root):
        typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if (types or not typing_only) and (functions or not function):
            yield from nodes(child, types, functions)


def imported(name: str, types: bool = True, functions: bool = True) -> Iterator[str]:
    """Absolute names of what module ``name`` imports; ``from package import module`` gives the module."""
    for node in nodes(tree(name), types, functions):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}, line {node.lineno}: imports are absolute in this package"
            base = node.module or ""
            yield from {
                inner if (inner := f"{base}.{alias.name}") in modules() else base for alias in node.names
            }


def named(name: str) -> Iterator[str]:
    """Modules of this package that module ``name`` names in a string."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            module = node.value.partition(":")[0]
            if module.startswith("aligndet.") and module in modules():
                yield module


def below(name: str, group: str) -> bool:
    return name == group or name.startswith(f"{group}.")


def room(module: str) -> str:
    """Its package below ``aligndet``, or its own name; '' for the package itself."""
    return module.partition(".")[2].partition(".")[0]


@cache
def arrows() -> frozenset[tuple[str, str]]:
    """Pairs of modules (who imports, who is imported) in different rooms."""
    return frozenset(
        (name, target)
        for name in modules()
        if name not in ADDRESS_BOOKS
        for target in (*imported(name), *named(name))
        if below(target, "aligndet") and target != "aligndet" and room(target) != room(name)
    )


def test_every_room_has_a_floor() -> None:
    rooms = {room(name) for name in modules()} - {""}
    assert rooms == set(FLOOR)


def test_no_upward_import() -> None:
    upward = [f"{name} -> {target}" for name, target in arrows() if FLOOR[room(name)] <= FLOOR[room(target)]]
    assert not sorted(upward)


def test_every_room_is_used() -> None:
    """Rooms are entered from other rooms; the top floor is entered by the user."""
    entered = {room(target) for _, target in arrows()}
    assert not set(FLOOR) - entered - set(FLOORS[0]) - {"api"}


def test_the_package_itself_loads_next_to_nothing() -> None:
    targets = set(imported("aligndet", types=False, functions=False))
    assert not [t for t in targets if t.partition(".")[0] in HEAVY]
    assert {room(t) for t in targets if below(t, "aligndet")} <= {"ops", "registry", "common"}


@pytest.mark.parametrize("group", WITHOUT)
def test_forbidden_packages(group: str) -> None:
    members = [name for name in modules() if below(name, group)]
    assert members
    assert not [
        f"{name} imports {target}"
        for name in members
        for target in imported(name)
        if target.partition(".")[0] in WITHOUT[group]
    ]


@pytest.mark.parametrize("name", ["aligndet.box_domain.contrast", "aligndet.box_domain.slots"])
def test_the_loss_stands_alone(name: str) -> None:
    """Of this package it knows slots and the type of its errors."""
    ours = {target for target in imported(name) if below(target, "aligndet")}
    assert ours <= {"aligndet.box_domain.slots", "aligndet.common.errors"}


def test_heads_are_named_in_adapters_only() -> None:
    """mmdet's heads may be imported by the adapters and nobody else."""
    places = ("mmdet.models.dense_heads", "mmdet.models.roi_heads")
    for name in modules():
        if not below(name, "aligndet.box_domain.adapters"):
            assert not [target for target in imported(name) for place in places if below(target, place)], name


def loaded_with(name: str) -> set[str]:
    """Modules of this package that importing ``name`` loads, itself and the packages above them included."""
    reached: set[str] = set()
    waiting = {name}
    while waiting:
        module = waiting.pop()
        if module in reached or module not in modules():
            continue
        reached.add(module)
        waiting |= set(imported(module, types=False, functions=False))
        waiting.add(module.rpartition(".")[0])
    return reached


def test_commands_load_nothing_heavy() -> None:
    """Help and option errors come at once: what computes is imported when a command runs."""
    heavy = {
        f"{name} loads {target} in {module}"
        for name in modules()
        if below(name, "aligndet.cli") or name in ("aligndet.__main__", "aligndet.api", "aligndet")
        for module in loaded_with(name)
        for target in imported(module, types=False, functions=False)
        if target.partition(".")[0] in HEAVY
    }
    assert not sorted(heavy)


def test_nothing_imports_tools_or_tests() -> None:
    outside = {"tools", "tests", "benchmarks", "examples"}
    assert not [(name, t) for name in modules() for t in imported(name) if t.partition(".")[0] in outside]


def test_no_cycles() -> None:
    graph = {
        name: {t for t in imported(name, types=False) if t in modules() and t != name} for name in modules()
    }
    del graph["aligndet"]  # it loads the API on demand
    while leaves := [name for name, targets in graph.items() if not targets & set(graph)]:
        for name in leaves:
            del graph[name]
    assert not graph, f"modules that import each other in a circle: {sorted(graph)}"


def test_tests_stand_where_the_code_stands() -> None:
    """``tests/`` mirrors the rooms; package, commands, documents and examples have folders of their own."""
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    apart = {"package", "smoke", "docs", "examples"}
    mirrored = [folder for folder in folders if folder.parts and folder.parts[0] not in apart]
    places = {folder: ROOT / "aligndet" / folder for folder in mirrored}
    assert not [
        f for f, code in places.items() if not code.is_dir() and not code.with_suffix(".py").is_file()
    ]
