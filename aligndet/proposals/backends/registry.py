"""Names -> backends, with checked options."""

from __future__ import annotations

import importlib
import inspect
import operator
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from aligndet.common.errors import InputError, nearest
from aligndet.proposals.backends.factory import options_of
from aligndet.proposals.backends.option_values import plain, value_of

Backend = Callable[..., tuple[Any, ...]]
Factory = Callable[..., Backend]

# "module:factory", imported when asked for: a backend's own library is needed only by those who use it.
_FACTORIES: dict[str, str | Factory] = {
    "fast": "aligndet.proposals.backends.fast:fast_backend",
    "selectivesearch": "aligndet.proposals.backends.selectivesearch:selectivesearch_backend",
    "opencv": "aligndet.proposals.backends.opencv:opencv_backend",
    "random": "aligndet.proposals.backends.plain:random_backend",
    "grid": "aligndet.proposals.backends.plain:grid_backend",
    "file": "aligndet.proposals.backends.file:file_backend",
}

#: One that a factory takes by ``**options``.
ANY_OPTION = inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD)


class MisfitError(LookupError):
    """An image and the boxes that a backend has do not belong together; the message says why."""


class Raw(NamedTuple):
    """What a backend gives: boxes (N, 4) xyxy; scores, levels and clusters, each (N,) or None; a note."""

    boxes: np.ndarray
    scores: np.ndarray | None = None
    levels: np.ndarray | None = None
    clusters: np.ndarray | None = None
    note: str = ""


def run_backend(backend: Backend, image: np.ndarray, name: str) -> Raw:
    """Call a backend; one with the attribute ``takes_name`` gets the image's name too."""
    found = backend(image, name) if getattr(backend, "takes_name", False) else backend(image)
    return Raw(*found)


def backend_names() -> list[str]:
    """Names that :func:`make_backend` knows, sorted."""
    return sorted(_FACTORIES)


def register(name: str, factory: str | Factory) -> None:
    """Add a backend under a new name; `factory` is a callable or "module:callable".

    A callable registered in one process is unknown to worker processes; "module:callable" works in all.
    """
    if name in _FACTORIES:
        raise KeyError(f"proposal backend {name!r} is already registered; choose another name")
    _FACTORIES[name] = factory


def make_backend(name: str, /, **options: Any) -> Backend:
    """Build the backend called `name` with its options.

    Raises:
        InputError: unknown name; an option that the backend does not have, or one that it needs, or a value
            that it refuses; or its library is missing, and the message has the command that installs it.
    """
    factory = _factory(name)
    has = options_of(factory)
    unknown = sorted(set(options) - set(has.known))
    if unknown and not has.takes_any:
        listed = ", ".join(has.known) or "none"
        raise InputError(f"proposal backend {name!r} has no option {', '.join(unknown)}; it has: {listed}")
    if needed := has.missing(options):
        raise InputError(
            f"proposal backend {name!r} needs {', '.join(needed)}: give --backend-options {needed[0]}=VALUE"
            f"{_hint_of_a_search(needed)}"
        )
    try:
        backend: Backend = has.call(factory, options)
    except InputError:
        raise
    except ValueError as error:
        given = ", ".join(f"{key}={value!r}" for key, value in options.items()) or "no options"
        raise InputError(f"proposal backend {name!r} refuses {given}: {error}") from error
    if not callable(backend):
        raise InputError(
            f"proposal backend {name!r}: expected a factory that returns a function of an image, "
            f"got {type(backend).__name__}"
        )
    return backend


def parse_options(name: str, pairs: Iterable[str]) -> dict[str, Any]:
    """Turn "key=value" strings into options, each read as its parameter's annotation or default says.

    Raises:
        InputError: names the option and what was expected.
    """
    has = options_of(_factory(name))
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key or (key not in has.known and not has.takes_any):
            keys = ", ".join(has.known) or "none"
            raise InputError(f"backend option {pair!r}: expected key=value, key of {name!r} one of: {keys}")
        if key in options:
            raise InputError(f"backend option {pair!r}: {key} is given twice")
        try:
            options[key] = value_of(text, has.known.get(key, ANY_OPTION))
        except ValueError as error:
            raise InputError(f"backend option {pair!r}: expected {error}") from error
    return options


def resolved_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The backend's defaults with `options` put over them, as json can hold them: what identifies a run."""
    return {key: plain(value) for key, value in {**options_of(_factory(name)).defaults(), **options}.items()}


def _factory(name: str) -> Factory:
    target: str | Factory = _FACTORIES.get(name, name)
    if callable(target):
        return target
    module, colon, attribute = target.partition(":")
    if not colon:
        raise InputError(
            f"unknown proposal backend {name!r}{nearest(name, _FACTORIES)}; "
            f"known: {', '.join(backend_names())}, or 'module:factory'"
        )
    try:
        factory: Factory = operator.attrgetter(attribute)(importlib.import_module(module))
    except (ImportError, AttributeError, ValueError, SyntaxError) as error:
        raise InputError(f"proposal backend {name!r}: {error} (is it on PYTHONPATH?)") from error
    if not callable(factory):
        raise InputError(f"proposal backend {name!r}: expected a factory, got {type(factory).__name__}")
    return factory


def _hint_of_a_search(needed: list[str]) -> str:
    """What to do with a function that takes the image itself."""
    if needed[0] not in ("image", "img", "picture"):
        return ""
    return "; is it the search itself? A factory returns it: `def make(): return search`"
