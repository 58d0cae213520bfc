"""Wheel and source distribution are the whole product: built, compared, and used where no checkout is."""

import configparser
import fnmatch
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("train.py", "dist_train.sh", "slurm_train.sh")
PRODUCTS = (
    ".git",
    ".venv*",
    ".*_cache",
    ".cache",
    "build",
    "dist",
    "*.egg-info",
    "work_dirs",
    "data",
    "mutants",
)


def build(tree: Path, kind: str) -> Path:
    """Make the ``kind`` (wheel or sdist) of the tree, in the folder dist beside it."""
    dist = tree.parent / "dist"
    dist.mkdir(exist_ok=True)
    code = f"from setuptools import build_meta as b; b.build_{kind}({str(dist)!r})"
    run = subprocess.run([sys.executable, "-c", code], cwd=tree, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    (made,) = dist.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, in which to build; links stay links."""
    copy = tmp_path_factory.mktemp("source") / "tree"
    shutil.copytree(ROOT, copy, symlinks=True, ignore=products)
    return copy


def products(folder: str, names: list[str]) -> set[str]:
    """What of a folder of the checkout is made by running it."""
    patterns = PRODUCTS if Path(folder) == ROOT else ("__pycache__",)
    return {name for name in names for pattern in patterns if fnmatch.fnmatch(name, pattern)}


@pytest.fixture(scope="module")
def wheel(tree: Path) -> Path:
    return build(tree, "wheel")


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("RECORD")}


def below(folder: Path) -> dict[str, bytes]:
    """Relative names and contents of the files in a folder, without what Python and numba cache."""
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_the_wheel_holds_the_package_and_its_configs_twice(tree: Path, wheel: Path) -> None:
    """Once for the package, once where mim and mmengine look; in the tree the second is a link."""
    inside = contents(wheel)
    package = below(tree / "aligndet")
    assert {f"aligndet/{name}": data for name, data in package.items()}.items() <= inside.items()
    configs = below(tree / "aligndet" / "configs")
    assert len([name for name in configs if name.endswith(".py")]) > 50
    assert all(inside[f"aligndet/.mim/configs/{name}"] == data for name, data in configs.items())
    assert not [name for name in inside if "__pycache__" in name or not name.startswith("aligndet")]


def test_the_wheel_holds_the_tools_that_mim_starts(tree: Path, wheel: Path) -> None:
    inside = contents(wheel)
    assert {name: inside[f"aligndet/.mim/tools/{name}"] for name in TOOLS} == {
        name: (tree / "tools" / name).read_bytes() for name in TOOLS
    }
    assert b"configs/box_domain/metafile.yml" in inside["aligndet/.mim/model-index.yml"]


def test_the_wheel_is_typed_and_has_the_command(wheel: Path) -> None:
    inside = contents(wheel)
    assert "aligndet/py.typed" in inside
    (entry,) = [data for name, data in inside.items() if name.endswith("entry_points.txt")]
    parser = configparser.ConfigParser()
    parser.read_string(entry.decode())
    assert dict(parser["console_scripts"]) == {"aligndet": "aligndet.cli.main:main"}


def test_a_wheel_of_the_source_distribution_is_the_same(tree: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(build(tree, "sdist")) as archive:
        assert not [member.name for member in archive if member.issym() or member.islnk()]
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    for name in (
        "configs/_base_/two_views.py",
        "tests/package/test_wheel.py",
        "requirements.txt",
        "Makefile",
    ):
        assert (unpacked / name).is_file()
    assert contents(build(unpacked, "wheel")) == contents(wheel)


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Commands of a new environment with the wheel; what it requires is that of the Python at hand.

    Its folder is named in a ``.pth`` file, whose own ``.pth`` files (such as an editable installation of
    aligndet) count for nothing.
    """
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "lent.pth").write_text("\n".join(sorted(lent)))
    return folder / "bin"


def run(environment: Path, folder: Path, *command: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    path = [str(environment / command[0]), *command[1:]]
    done = subprocess.run(path, cwd=folder, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def test_no_checkout_is_in_reach(environment: Path, tmp_path: Path) -> None:
    code = "import sys, aligndet; print(aligndet.__file__); print(*sys.path, sep='\\n')"
    place, *path = run(environment, tmp_path, "python", "-c", code).splitlines()
    assert place.startswith(str(environment.parent))
    assert str(ROOT) not in path


def test_the_command_answers(environment: Path, tmp_path: Path) -> None:
    assert run(environment, tmp_path, "aligndet", "--version").startswith("aligndet ")
    assert "pretrain" in run(environment, tmp_path, "aligndet", "--help")
    assert run(environment, tmp_path, "python", "-m", "aligndet", "--version").startswith("aligndet ")


def test_a_users_config_inherits_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text('_base_ = "aligndet::box_domain/retinanet_r50_fpn_1x_coco.py"\n')
    code = "import aligndet; from mmengine.config import Config; from mmengine.hub import get_config\n"
    code += "print(Config.fromfile('mine.py').model.type)\n"
    code += "print(get_config('aligndet::finetune/retinanet_r50_fpn_1x_coco.py').filename)"
    kind, place = run(environment, tmp_path, "python", "-c", code).splitlines()
    assert kind == "aligndet.BoxDomainPretrainer"
    assert place.startswith(str(environment.parent))
