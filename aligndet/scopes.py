"""In which registry a config's names are looked up: that of the scope which the config names.

Names without a scope are of a config's ``default_scope``, which a library with registries of its own sets to
itself. Nothing here makes mmdet's scope the default one where another was set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from mmengine.registry import MODELS, DefaultScope

from aligndet.common.errors import InputError
from aligndet.common.modules import import_modules, unregistered

#: Scopes that are there without an import of the user's.
KNOWN = ("mmdet", "mmpretrain", "mmengine", "aligndet")


def default_scope(config: Mapping[str, Any]) -> str:
    """Name the scope in which a config's names are looked up: mmdet's where it names none."""
    return config.get("default_scope") or "mmdet"


@contextmanager
def scope_of(config: Mapping[str, Any]) -> Iterator[None]:
    """Look names up as a run of this config does, for as long as this lasts.

    What any registry builds meanwhile comes from that of the config's scope, then from those above it.

    Raises:
        InputError: the scope is no name, or names of the model are of one that no imported module makes.
    """
    scope = default_scope(config)
    if not isinstance(scope, str) or not scope.isidentifier() or len(scope) > 100:
        raise InputError(f"default_scope: {str(scope)[:80]!r}: expected the name of a package, such as mmdet")
    if scope != "mmpretrain":
        register_mmdet()
    if scope not in KNOWN and _is_of_default_scope(config.get("model")):
        _require(scope)
    with DefaultScope.overwrite_default_scope(scope):
        yield


def _is_of_default_scope(model: Any) -> bool:
    """Whether a model, or the detector in a pre-trainer, has a name without a scope."""
    if not isinstance(model, Mapping):
        return False
    kind = model.get("type")
    plain = isinstance(kind, str) and "." not in kind and "_scope_" not in model
    return plain or _is_of_default_scope(model.get("detector"))


def _require(scope: str) -> None:
    """Import the registries of a scope, as mmengine does, and raise where that makes none."""
    if _registries(scope):
        return
    give = f"give the module that makes the registries of {scope} with --import"
    try:
        import_modules([f"{scope}.registry"], "default_scope:")
    except InputError as error:
        raise InputError(f"{error}; {give}") from error
    if not _registries(scope):
        raise InputError(f"default_scope: {scope}.registry makes none of models with this scope; {give}")


def _registries(scope: str) -> bool:
    """Whether there is a registry of models with a scope; one that is empty still has no length."""
    return MODELS._search_child(scope) is not None


def scope_of_model(model: Mapping[str, Any]) -> AbstractContextManager[None]:
    """As :func:`scope_of`, inside of it, for a ``model`` that is inherited from another package's config.

    mmengine notes that package's scope at the model alone, under ``_scope_``; all names in it are of it.
    """
    scoped: AbstractContextManager[None] = DefaultScope.overwrite_default_scope(model.get("_scope_"))
    return scoped


@contextmanager
def building(what: str) -> Iterator[None]:
    """Say in one line, as the fault of whoever wrote it, that a config cannot be built.

    Args:
        what: begins the line, such as ``the backbone cannot be built``.

    Raises:
        InputError: something went wrong inside; a class that is registered nowhere is named with a hint.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # a config leads its classes to whatever its values lead to
        said = error.args[0] if isinstance(error, KeyError) and error.args else error
        text = next(iter(str(said).strip().splitlines()), "")[:300]
        reason = unregistered(error)[:500] or text or type(error).__name__
        raise InputError(f"{what}: {reason}") from error


def register_mmdet() -> None:
    """Register mmdet's classes; its scope becomes the default one only where there is none yet."""
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=DefaultScope.get_current_instance() is None)
