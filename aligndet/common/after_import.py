"""Do something to another package's module as soon as anybody imports it."""

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from aligndet.ops.finder import spec_of_others

TYPE_CHECKING = False  # importing typing and importlib.abc would cost more time than this module
if TYPE_CHECKING:
    from importlib.abc import Loader, MetaPathFinder
else:
    MetaPathFinder = object

Action = Callable[[ModuleType], None]


class FollowingFinder(MetaPathFinder):
    """Lets the other finders load a module, then does to it what was asked for."""

    def __init__(self) -> None:
        self.actions: dict[str, Action] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module that is waited for; ``None`` for every other."""
        action = self.actions.get(fullname)
        if action is None:
            return None
        spec = spec_of_others(fullname, path, FollowingFinder)
        if spec is not None and spec.loader is not None:
            _follow(spec.loader, action)
        return spec


def after_import(name: str, action: Action) -> None:
    """Do something to a module: now where it is loaded, else at the end of its import.

    Args:
        name: of the module.
        action: is given the module, and leaves one alone that it changed before.
    """
    if name in sys.modules:
        action(sys.modules[name])
        return
    finder = next((each for each in sys.meta_path if isinstance(each, FollowingFinder)), None)
    if finder is None:
        finder = FollowingFinder()
        sys.meta_path.insert(0, finder)
    finder.actions[name] = action


def _follow(loader: "Loader", action: Action) -> None:
    """Follow what ``loader`` does by an action; the loader stays what it is for all who ask it."""
    load = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        load(module)
        action(module)

    loader.exec_module = exec_module  # type: ignore[method-assign]
