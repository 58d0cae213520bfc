"""Do the tests notice a change in the core? Each small change of it (a mutant) must make a test fail.

    python benchmarks/mutants.py                    # all parts, or: make mutants
    python benchmarks/mutants.py momentum recipe    # some

Mutants are cosmic-ray's, and calls left out. Those in type hints, which nothing evaluates, are passed over.
The work is done on a copy of the package and its tests. What they import from others is loaded once, and
every mutant is tried in a fork of that process, so that it costs its tests and nothing else.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import gc
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORE = "aligndet/box_domain"
RECIPES = "aligndet/configs/_base_"


@dataclass(frozen=True)
class Part:
    """Files to change, and the tests that must notice (pytest's arguments, fastest first)."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


RECIPE_TESTS = ("tests/box_domain/test_recipe.py", "tests/box_domain/test_recipe_kept.py")
PARTS = {
    "contrast": Part((f"{CORE}/contrast.py",), ("tests/box_domain/test_contrast.py",)),
    "slots": Part(
        (f"{CORE}/slots.py",), ("tests/box_domain/test_contrast.py", "tests/box_domain/test_slots.py")
    ),
    "momentum": Part((f"{CORE}/momentum.py",), ("tests/box_domain/test_momentum.py",)),
    "freezing": Part((f"{CORE}/freezing.py",), ("tests/box_domain/test_freezing.py", "-k", "still or held")),
    "pretrainer": Part(
        (f"{CORE}/pretrainer.py",),
        (
            *("tests/box_domain/test_pretrainer.py", "tests/box_domain/test_momentum.py"),
            *("tests/box_domain/test_preprocessors.py", "tests/box_domain/test_detector_errors.py"),
            "tests/box_domain/adapters/test_distillation.py",
            *("-k", "not fcos and not mask and not faster and not detr and not more_than_256"),
        ),
    ),
    "recipe": Part(
        (
            *(f"{CORE}/recipe/{name}.py" for name in ("__init__", "optimiser")),
            *(f"{RECIPES}/recipe_{name}.py" for name in ("adamw", "cnn_two_stage", "transformer")),
            *(f"{RECIPES}/{name}.py" for name in ("generated", "pretrain_1x")),
        ),
        (*RECIPE_TESTS, "-k", "not train_command"),
    ),
    "wrapping": Part(
        tuple(f"{CORE}/recipe/{name}.py" for name in ("hooks", "images", "loader", "sizes", "steps")),
        ("tests/box_domain/test_recipe_images.py", *RECIPE_TESTS, "-k", "not train_command"),
    ),
}
#: What the tests import beside this package; loaded before any fork.
OTHERS = ("pytest", "cv2", "numpy", "torch", "mmcv", "mmdet.datasets", "mmdet.engine", "mmdet.models")


@dataclass
class Tally:
    """How many mutants of a file a test noticed, and those that none did."""

    killed: int = 0
    survivors: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.killed + len(self.survivors)


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Yield a name and the changed source of every mutant."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code

    hints = set(hinted(source))
    for name in plugins.operator_names():
        kind = plugins.get_operator(name)
        if kind.arguments():
            continue
        nodes = ast_nodes(get_ast(source))
        places = [start for node in nodes for start, _ in kind().mutation_positions(node)]
        for occurrence, (line, column) in enumerate(places):
            changed = mutate_code(source, kind(), occurrence)
            if (line, column) not in hints and changed not in (None, source):
                yield f"line {line}: {name.partition('/')[2]} at column {column}", changed
    yield from left_out(source)


def hinted(source: str) -> Iterator[tuple[int, int]]:
    """Yield the positions of all characters within type hints."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        for hint in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if hint is not None:
                for line in range(hint.lineno, hint.end_lineno + 1):
                    first = hint.col_offset if line == hint.lineno else 0
                    last = hint.end_col_offset if line == hint.end_lineno else len(lines[line - 1])
                    yield from ((line, column) for column in range(first, last))


def left_out(source: str) -> Iterator[tuple[str, str]]:
    """Yield the source without one of its calls whose result nothing reads."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            lines = source.splitlines(keepends=True)
            lines[node.lineno - 1 : node.end_lineno] = [f"{' ' * node.col_offset}pass\n"]
            yield f"line {node.lineno}: call left out", "".join(lines)


def tests_pass(tests: tuple[str, ...], seconds: float) -> bool:
    """Run pytest in a fork of this process, and let it fail where it takes too long."""
    child = os.fork()
    if not child:
        _child(tests)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _child(tests: tuple[str, ...]) -> None:
    """Become a run of pytest without output, and never return."""
    import pytest

    status = 1
    with contextlib.suppress(BaseException):
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1), os.dup2(quiet, 2)
        status = int(
            pytest.main([*tests, "-x", "-q", "-p", "no:cacheprovider", "-p", "no:unraisableexception"])
        )
    os._exit(status)


def try_file(path: Path, tests: tuple[str, ...], seconds: float) -> Tally:
    """Try every mutant of one file of the copy."""
    source, tally = path.read_text(), Tally()
    for name, changed in mutants(source):
        path.write_text(changed)
        if tests_pass(tests, seconds):
            tally.survivors.append(f"{path}: {name}\n{_difference(source, changed)}")
            print(f"survived {tally.survivors[-1]}", flush=True)
        else:
            tally.killed += 1
    path.write_text(source)
    return tally


def _difference(source: str, changed: str) -> str:
    """Show the first line that differs, before and after."""
    pairs = zip(source.splitlines(), changed.splitlines(), strict=False)
    before, after = next((pair for pair in pairs if pair[0] != pair[1]), ("", ""))
    return f"    - {before.strip()}\n    + {after.strip()}"


def copy_tree(to: Path) -> None:
    """Copy what the tests need, without byte code."""
    for name in ("aligndet", "tests", "docs"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, to / name, symlinks=True, ignore=ignore)
    (to / "configs").symlink_to("aligndet/configs")
    shutil.copy(ROOT / "pyproject.toml", to)


def load_others(copy: Path) -> None:
    """Load what forks share, so that nothing of this package comes from elsewhere than the copy."""
    os.chdir(copy)
    for name in [name for name in sys.modules if name.partition(".")[0] == "aligndet"]:
        del sys.modules[name]
    sys.path.insert(0, str(copy))
    importlib.import_module("aligndet")  # its stand-in for mmcv's operators comes before mmcv
    for name in OTHERS:
        importlib.import_module(name)
    gc.freeze()  # else each fork copies the memory that its collector looks at


def check(name: str, part: Part) -> float:
    """Return how long the tests take, which must pass on the copy and fail where a file is empty.

    Raises:
        SystemExit: they do not.
    """
    sys.dont_write_bytecode = False
    if not tests_pass(part.tests, 600):
        raise SystemExit(f"{name}: its tests fail before anything is changed: {' '.join(part.tests)}")
    sys.dont_write_bytecode = (
        True  # a mutant may be as long and as old as the file that byte code was made of
    )
    for file in map(Path, part.files):
        for cached in file.parent.glob(f"__pycache__/{file.stem}.*"):
            cached.unlink()
    start = time.monotonic()
    tests_pass(part.tests, 600)
    seconds = time.monotonic() - start
    path = Path(part.files[0])
    source = path.read_text()
    path.write_text("raise RuntimeError\n")
    if tests_pass(part.tests, 600):
        raise SystemExit(f"{name}: its tests do not read {path}")
    path.write_text(source)
    return seconds


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all where none is named"
    )
    args = parser.parse_args(argv)
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    os.environ["OMP_NUM_THREADS"] = "1"
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory() as folder:
        copy_tree(Path(folder))
        load_others(Path(folder))
        for name in args.parts or PARTS:
            seconds = check(name, PARTS[name])
            for file in PARTS[name].files:
                tallies[file] = try_file(Path(file), PARTS[name].tests, 10 + 5 * seconds)
                print(_row(file, tallies[file]), flush=True)
    killed, total = (sum(getattr(t, key) for t in tallies.values()) for key in ("killed", "total"))
    print(f"{killed} of {total} mutants killed: {killed / max(1, total):.1%}")
    return 0


def _row(file: str, tally: Tally) -> str:
    return f"{file:48} {tally.killed:4} of {tally.total:4} killed"


if __name__ == "__main__":
    sys.exit(main())
