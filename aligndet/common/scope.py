"""Make ``aligndet::…`` known to mmengine, whoever imports mmengine, and whenever.

mmengine looks the package of ``PACKAGE::config.py`` up in a closed table. :func:`install`, which
``import aligndet`` calls, adds this package as soon as mmengine is there, and loads no mmengine for that.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from aligndet.ops.finder import spec_of_others

TYPE_CHECKING = False  # importing typing and importlib.abc would cost more time than this module
if TYPE_CHECKING:
    from importlib.abc import Loader, MetaPathFinder
else:
    MetaPathFinder = object

NAME = "aligndet"
READER = "mmengine.config.config"
TABLE = "mmengine.config.utils"

#: What mmengine takes for the name of a distribution. None has this name, so every release of mmengine asks
#: the import system where the module lies, and gets the folder of the ``aligndet`` that is imported: from a
#: wheel, an editable installation and PYTHONPATH alike.
LOCATION = "aligndet.registry"


class ReaderFinder(MetaPathFinder):
    """Lets the other finders load mmengine's reader of configs, then makes ``aligndet::`` known to it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of mmengine's reader; ``None`` for every other module."""
        if fullname != READER:
            return None
        spec = spec_of_others(fullname, path, ReaderFinder)
        if spec is not None and spec.loader is not None:
            _register_after(spec.loader)
        return spec


def install() -> None:
    """Make ``aligndet::`` known: now where mmengine is loaded, else at the end of its import; once."""
    if READER in sys.modules:
        _register(sys.modules[READER])
    elif not any(isinstance(finder, ReaderFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, ReaderFinder())


def make_known() -> None:
    """Import mmengine's reader of configs so that it knows ``aligndet::``."""
    install()
    __import__(READER)


def _register_after(loader: "Loader") -> None:
    """Follow what ``loader`` does by the registration; the loader stays what it is for all who ask it."""
    load = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        load(module)
        _register(module)

    loader.exec_module = exec_module  # type: ignore[method-assign]


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
