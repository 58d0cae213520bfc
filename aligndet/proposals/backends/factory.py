"""A factory of backends: which options it takes, what they are where none are given, and how it is called."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Parameter = inspect.Parameter


@dataclass(frozen=True)
class Options:
    """The options of a factory.

    Attributes:
        known: those it names, in order; annotations are types where they can be read.
        takes_any: it has ``**options``, or nobody can tell what it takes.
    """

    known: dict[str, Parameter]
    takes_any: bool

    def missing(self, given: Mapping[str, Any]) -> list[str]:
        """Those without a default that are not given."""
        return [name for name, one in self.known.items() if one.default is one.empty and name not in given]

    def defaults(self) -> dict[str, Any]:
        """The values of those that have a default."""
        return {name: one.default for name, one in self.known.items() if one.default is not one.empty}

    def call(self, factory: Callable[..., Any], given: Mapping[str, Any]) -> Any:
        """Call the factory: options by name, but for those that it takes by place only."""
        by_place = [name for name, one in self.known.items() if one.kind is Parameter.POSITIONAL_ONLY]
        values = [given.get(name, self.known[name].default) for name in by_place]
        return factory(*values, **{name: one for name, one in given.items() if name not in by_place})


def options_of(factory: Callable[..., Any]) -> Options:
    """Read the options of a function, a class, a dataclass or whatever else can be called."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # some that are written in C
        return Options({}, takes_any=True)
    variadic = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    known = {one.name: _readable(one, factory) for one in parameters if one.kind not in variadic}
    return Options(known, takes_any=any(one.kind is Parameter.VAR_KEYWORD for one in parameters))


def _readable(parameter: Parameter, factory: Callable[..., Any]) -> Parameter:
    """A parameter with its type instead of the type's text, and the value that its default stands for."""
    if isinstance(parameter.annotation, str):
        parameter = parameter.replace(annotation=_evaluated(parameter.annotation, factory))
    if isinstance(factory, type) and dataclasses.is_dataclass(factory):
        for field in dataclasses.fields(factory):
            if field.name == parameter.name and field.default_factory is not dataclasses.MISSING:
                parameter = parameter.replace(default=field.default_factory())
    return parameter


def _evaluated(text: str, factory: Callable[..., Any]) -> Any:
    """The type that an annotation names; nothing where only a type checker can read it."""
    inner = inspect.unwrap(getattr(factory, "func", factory))  # of functools.partial
    module = sys.modules.get(getattr(inner, "__module__", "") or type(inner).__module__)
    try:
        return eval(text, dict(vars(module)) if module else {})
    except Exception:
        return Parameter.empty
