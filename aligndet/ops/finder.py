"""Import hook for ``mmcv._ext``: compiled operators where they exist, the stand-in otherwise.

Imports nothing but the standard library; torch is loaded only when ``mmcv._ext`` itself is.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

TYPE_CHECKING = False  # importing typing and importlib.abc would cost more time than all of this package
if TYPE_CHECKING:
    from importlib.abc import Loader, MetaPathFinder
else:
    Loader = MetaPathFinder = object

EXTENSION = "mmcv._ext"
STAND_IN_ORIGIN = "aligndet.ops (torchvision and torch stand-in)"


class StandInLoader(Loader):
    """Fills the module ``mmcv._ext`` with the functions of :mod:`aligndet.ops.table`."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave making the empty module to the import system."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Put the stand-in functions, and an answer for every other operator name, into ``module``."""
        from aligndet.ops import table

        vars(module).update(table.OPERATORS)
        vars(module)["__getattr__"] = table.missing_operator


class ExplainingLoader(Loader):
    """Loads the compiled extension; when it cannot be loaded, says why and what mends it."""

    def __init__(self, loader: Loader, path: str | None) -> None:
        self.loader = loader
        self.path = path

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Load the shared library.

        Raises:
            ImportError: the library was compiled against another torch (or needs a missing library).
        """
        try:
            return self.loader.create_module(spec)
        except ImportError as error:
            raise ImportError(_broken(self.path, error), name=EXTENSION, path=self.path) from error

    def exec_module(self, module: ModuleType) -> None:
        """Run the module as its own loader would."""
        self.loader.exec_module(module)


class OpsFinder(MetaPathFinder):
    """Asks all other finders for ``mmcv._ext`` first; answers with the stand-in when none knows it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of ``mmcv._ext``; ``None`` for every other module."""
        if fullname != EXTENSION:
            return None
        compiled = compiled_spec(path)
        if compiled is None or compiled.loader is None:
            return ModuleSpec(EXTENSION, StandInLoader(), origin=STAND_IN_ORIGIN)
        compiled.loader = ExplainingLoader(compiled.loader, compiled.origin)
        return compiled


def compiled_spec(path: Sequence[str] | None) -> ModuleSpec | None:
    """Spec of a compiled ``mmcv._ext`` in the package folders ``path``; ``None`` when there is none."""
    return spec_of_others(EXTENSION, path, OpsFinder)


def spec_of_others(name: str, path: Sequence[str] | None, finder_type: type) -> ModuleSpec | None:
    """Spec of module ``name`` as the import system answers without finders of ``finder_type``."""
    for finder in sys.meta_path:
        find = None if isinstance(finder, finder_type) else getattr(finder, "find_spec", None)
        if find is not None and (spec := find(name, path)) is not None:
            return spec
    return None


def has_compiled_operators() -> bool:
    """Whether the installed mmcv brings a compiled ``_ext`` (which need not load)."""
    from importlib.util import find_spec  # costs as much as the rest of `import aligndet`

    mmcv = find_spec("mmcv")
    return mmcv is not None and compiled_spec(mmcv.submodule_search_locations) is not None


def install() -> None:
    """Put the finder into ``sys.meta_path``, once; in front, because it also explains a broken library."""
    if not any(isinstance(finder, OpsFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, OpsFinder())


def _broken(path: str | None, error: ImportError) -> str:
    return (
        f"mmcv's compiled operators cannot be loaded: {path}: {error}. They were most likely compiled "
        "against another torch than the installed one. Compile them again with `make setup OPS=compiled`, or "
        "delete that file to use the stand-in on torchvision."
    )
