"""Models whose config stands in a checkpoint: built of registered classes, and of nothing else.

mmengine takes a ``type`` that no registry has for the name of a module or a function, imports the one and
calls the other. In a file of a stranger that is code as good as any, though all of it are literals.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine import registry as roots
from mmengine.config import Config, ConfigDict
from torch import nn

from aligndet.common.configs import config_of_text
from aligndet.common.errors import InputError
from aligndet.common.modules import import_modules, imports_of, registers_classes
from aligndet.common.trust import TRUST, trusted
from aligndet.scopes import KNOWN, default_scope, register_mmdet

#: Registered classes in these modules load programs of others, whose names they take from the config.
OPEN = ("mmpretrain.models.multimodal", "mmpretrain.models.utils.huggingface")
#: Arguments of registered classes that are run as Python (mmdet's CameraMotionCompensation).
EVALUATED = {"warp_mode"}


def config_to_build(text: str, source: str) -> Config:
    """Read the config in a checkpoint for building its model.

    Args:
        text: of the config. source: of the text, for errors.

    Raises:
        InputError: it is no config, it holds code, or its model names what no registry has.
    """
    config = config_of_text(text, source)
    if trusted() or not isinstance(config.get("model"), Mapping):
        return config
    register_mmdet()
    _import_registering(config, source)
    scope = default_scope(config)
    checker = _Checker(source, config.get("custom_imports"))
    if not isinstance(scope, str) or scope not in checker.scopes:
        raise checker.refusal("default_scope", scope)
    config.model = ConfigDict(checker.checked(config.model, scope, "model"))
    return config


def _import_registering(config: Config, source: str) -> None:
    """Import what a config names of the user's own: modules that are here and register classes, and no other.

    A file can so choose among programs that the user has, and bring none.
    """
    above = (kind.rpartition(".")[0] for kind in _types(config.model))
    try:
        named = imports_of(config)
    except TypeError as error:
        raise InputError(f"{source}: the config in it: {error}") from error
    for name in dict.fromkeys([*named, *filter(None, above)]):
        if name not in KNOWN and name not in sys.modules and registers_classes(name):
            import_modules([name], f"{source}: the config in it: custom_imports")


def _types(node: Any) -> Iterator[str]:
    """Every ``type`` that is a name."""
    if isinstance(node, Mapping) and isinstance(node.get("type"), str):
        yield node["type"]
    inner = node.values() if isinstance(node, Mapping) else node if isinstance(node, (list, tuple)) else ()
    for value in inner:
        yield from _types(value)


class _Checker:
    """Checks what a config names, and puts classes where it names them with their modules.

    Args:
        source: of the config. imports: its ``custom_imports``, for errors.
    """

    def __init__(self, source: str, imports: Any) -> None:
        self.source, self.imports = source, imports
        importlib.import_module("aligndet.registry")
        self.roots = [value for value in vars(roots).values() if isinstance(value, roots.Registry)]
        self.scopes = {*KNOWN, *(child.scope for root in self.roots for child in root.children.values())}

    def checked(self, node: Any, scope: str, place: str) -> Any:
        """Give a node of a model's config with its types checked.

        Raises:
            InputError: one is registered nowhere; names its place.
        """
        if isinstance(node, (list, tuple)):
            parts = [self.checked(value, scope, f"{place}.{number}") for number, value in enumerate(node)]
            return parts if isinstance(node, list) else tuple(parts)
        if not isinstance(node, Mapping):
            return node
        scope = node.get("_scope_") or scope
        if not isinstance(scope, str) or scope not in self.scopes:
            raise self.refusal(f"{place}._scope_", scope)
        if node.get("trust_remote_code"):
            raise self.refusal(f"{place}.trust_remote_code", True)
        content: dict[Any, Any] = dict(node)
        changed = {key: self.checked(value, scope, f"{place}.{key}") for key, value in content.items()}
        for key in EVALUATED & set(changed):
            if not re.fullmatch(r"[\w.]*", str(changed[key])):
                raise self.refusal(f"{place}.{key}", changed[key])
        if "type" in changed:
            changed["type"] = self._registered(changed["type"], scope, f"{place}.type")
        return changed

    def _registered(self, kind: Any, scope: str, place: str) -> Any:
        """Give a ``type`` that a registry has: its name, or the class where it stands with its module."""
        if isinstance(kind, str):
            above, _, name = kind.rpartition(".")
            known = (
                next(self._named(name, above or scope), None) if not above or above in self.scopes else None
            )
            if known is not None and not str(getattr(known, "__module__", "")).startswith(OPEN):
                return kind
            if not above and known is None and name.isidentifier() and _no_module(name):
                return kind  # no class: no registry imports or calls anything for it
            found = getattr(sys.modules.get(above), name, None) if above else None
            if found is not None and (_is_layer(found, above) or any(found is c for c in self._classes())):
                return found
        raise self.refusal(place, kind)

    def _named(self, name: str, scope: str) -> Iterator[Any]:
        """What registries have under a name: those of a scope, then those above."""
        for each in (*self._registries(scope), *self.roots) if scope in self.scopes else ():
            if name in each.module_dict:
                yield each.module_dict[name]

    def _registries(self, scope: str) -> Iterator[Any]:
        """The registries of a scope, filled."""
        for root in self.roots:
            if scope == root.scope:
                yield root
            elif (child := root.children.get(scope)) is not None:
                child.import_from_location()
                yield child

    def _classes(self) -> Iterator[Any]:
        for root in self.roots:
            yield from root.module_dict.values()
            for child in root.children.values():
                yield from child.module_dict.values()

    def refusal(self, place: str, value: Any) -> InputError:
        """Say what is not built, and what mends it."""
        imports = f", such as what its custom_imports name: {str(self.imports)[:200]}" if self.imports else ""
        return InputError(
            f"{self.source}: the config in it: {place}={str(value)[:80]!r} is in no registry; give "
            f"the module that registers it with --import{imports}; or {TRUST}"
        )


def _is_layer(found: Any, module: str) -> bool:
    """Say whether something is a layer of torch or mmcv, which heads are given as it is (RoIAlign)."""
    known = module.startswith(("torch.nn.", "mmcv.ops.")) or module in ("torch.nn", "mmcv.ops")
    return known and inspect.isclass(found) and issubclass(found, nn.Module)


def _no_module(name: str) -> bool:
    """Whether there is nothing of this name to import."""
    return name not in sys.modules and importlib.util.find_spec(name) is None
