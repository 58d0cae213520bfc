"""Let every Python of an environment, also stock mmdet's own tools, use the operator stand-in.

``python -m aligndet.ops.startup`` writes a one-line ``.pth`` file into this Python's environment when its
mmcv has no compiled operators, and removes it when it has. Python runs that line at start; it imports
:mod:`aligndet`, which takes a few milliseconds and installs the import hook.
"""

import importlib.util
import os
import sysconfig
from pathlib import Path

from aligndet.ops.finder import compiled_spec

FILE_NAME = "aligndet_ops.pth"
LINE = 'import importlib.util as _u; _u.find_spec("aligndet") and __import__("aligndet")\n'


def has_compiled_operators() -> bool:
    """Whether the installed mmcv brings a compiled ``_ext`` (which need not load)."""
    mmcv = importlib.util.find_spec("mmcv")
    return mmcv is not None and compiled_spec(mmcv.submodule_search_locations) is not None


def update(site_packages: Path, compiled: bool) -> bool:
    """Write the start-up line into ``site_packages``, or take it away when there are ``compiled`` operators.

    Returns:
        Whether the line is there afterwards.
    """
    path = site_packages / FILE_NAME
    if compiled:
        path.unlink(missing_ok=True)
        return False
    temporary = path.with_suffix(".tmp")
    temporary.write_text(LINE, encoding="utf-8")
    os.replace(temporary, path)
    return True


if __name__ == "__main__":
    stand_in = update(Path(sysconfig.get_path("purelib")), has_compiled_operators())
    print("mmcv's operators:", "stand-in on torchvision" if stand_in else "compiled")
