"""Examine aligndet itself: the Python that runs it, its configs and command, and what an old version left."""

import platform
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import aligndet
from aligndet.doctor.finding import FAULT, NOTE, OK, Finding

#: Versions of Python for which every tested requirement has a release (``.ci/resolve`` asks).
OLDEST, NEWEST = (3, 11), (3, 13)

FOLDER = Path(aligndet.__file__).parent

#: Versions before 0.2 made every Python of an environment import aligndet at its start.
OLD_HOOK = "aligndet_ops.pth"


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Iterable[Finding]:
    """Whether this Python is one of those that aligndet is installed with."""
    text = f"Python {platform.python_version()} on {platform.system()} ({sys.executable})"
    if OLDEST <= version <= NEWEST:
        yield Finding(OK, text)
        return
    span = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    hint = "make setup PYTHON=/path/to/python3.11 in a clone, or a new environment of such a Python"
    yield Finding(FAULT, f"{text}: the tested requirements are released for Python {span}", hint)


def check_installation(folder: Path = FOLDER, scripts: Path | None = None) -> Iterable[Finding]:
    """Whether the package is whole (configs, mim's layout) and its command stands beside Python.

    Args:
        folder: of the package.
        scripts: where commands are installed; default: this environment's folder for them.
    """
    yield Finding(OK, f"aligndet {aligndet.__version__} ({folder})")
    needed = ("configs/_base_", ".mim/model-index.yml", ".mim/configs/_base_", ".mim/tools/train.py")
    missing = [name for name in needed if not (folder / name).exists()]
    if missing:
        hint = f"{sys.executable} -m pip install --force-reinstall --no-deps aligndet, or clone it anew"
        yield Finding(FAULT, f"aligndet is not whole: {', '.join(missing)} missing in {folder}", hint)
    scripts = scripts or Path(sysconfig.get_path("scripts"))
    if not any((scripts / name).exists() for name in ("aligndet", "aligndet.exe")):
        text = f"no command aligndet in {scripts}; `{sys.executable} -m aligndet` is the same"
        yield Finding(NOTE, text, f"{sys.executable} -m pip install --no-deps -e {folder.parent}")


def check_old_hook(site_packages: Path | None = None) -> Iterable[Finding]:
    """Whether an older version's line is run at every start of Python, which fixes the checkout used."""
    path = (site_packages or Path(sysconfig.get_path("purelib"))) / OLD_HOOK
    if path.exists():
        text = f"{path} imports aligndet into every Python of this environment; nothing needs it any more"
        yield Finding(FAULT, text, f"rm {path}")
