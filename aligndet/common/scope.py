"""Make ``aligndet::…`` known to mmengine, whoever imports mmengine, and whenever.

mmengine looks the package of ``PACKAGE::config.py`` up in a closed table. :func:`install`, which
``import aligndet`` calls, adds this package as soon as mmengine is there, and loads no mmengine for that.
"""

import sys
from types import ModuleType

from aligndet.common.after_import import after_import

NAME = "aligndet"
READER = "mmengine.config.config"
TABLE = "mmengine.config.utils"

#: What mmengine takes for the name of a distribution. None has this name, so every release of mmengine asks
#: the import system where the module lies, and gets the folder of the ``aligndet`` that is imported: from a
#: wheel, an editable installation and PYTHONPATH alike.
LOCATION = "aligndet.registry"


def install() -> None:
    """Make ``aligndet::`` known: now where mmengine is loaded, else at the end of its import; once."""
    after_import(READER, _register)


def make_known() -> None:
    """Import mmengine's reader of configs so that it knows ``aligndet::``."""
    install()
    __import__(READER)


def _register(reader: ModuleType) -> None:
    """Write this package into mmengine's table, and keep ``_scope_='aligndet'`` out of what is inherited.

    mmengine gives what a config takes from ``_base_`` the scope of the base's package. The names in these
    configs are those of their ``default_scope``, mmdet or mmpretrain, which the scope would hide.
    """
    vars(sys.modules[TABLE])["MODULE2PACKAGE"].setdefault(NAME, LOCATION)
    locate = reader.Config._get_cfg_path
    if getattr(locate, "knows", None) == NAME:
        return

    def without_scope(cfg_path: str, filename: str) -> tuple[str, str | None]:
        path, scope = locate(cfg_path, filename)
        return path, None if scope == NAME else scope

    vars(without_scope)["knows"] = NAME
    reader.Config._get_cfg_path = staticmethod(without_scope)
