"""Options of proposal backends: any ordinary signature is served, a wrong value refused by name."""

from __future__ import annotations

import enum
import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Optional, Union

import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.proposals.backends import make_backend, parse_options
from aligndet.proposals.backends.registry import resolved_options

if TYPE_CHECKING:
    from nowhere import Unknown

Search = Callable[[np.ndarray], tuple[np.ndarray, None]]
Pixels = NewType("Pixels", int)


class Mode(enum.Enum):
    """How a search goes."""

    FAST = "f"
    SLOW = "s"


def search_of(**options: Any) -> Search:
    """A search that shows what its factory was called with."""

    def search(image: np.ndarray) -> tuple[np.ndarray, None]:
        return np.zeros((1, 4)), None

    search.options = options  # type: ignore[attr-defined]
    return search


def typed(  # type: ignore[no-untyped-def]
    required: int,
    none=None,
    optional: Optional[float] = None,  # noqa: UP045
    either: Union[int, str] = 0,  # noqa: UP007
    choice: Literal["a", "b", 3] = "a",
    path: Path = Path(),
    maybe_path: Path | None = None,
    mode: Mode = Mode.FAST,
    flag: bool = False,
    sides: tuple[int, ...] = (),
    pair: tuple[int, str] = (1, "x"),
    names: list[str] = [],  # noqa: B006
    boxes: list[tuple[int, int]] = [],  # noqa: B006
    some: set[int] = set(),  # noqa: B006
    rates: Sequence[float] = (1.0,),
    table: dict[str, int] | None = None,
    pixels: Pixels = Pixels(8),
    doubted: Annotated[int, "in pixels"] = 1,
    unreadable: Unknown = 1,
    mixed=(1, 2.5),
    words=("a",),
    *,
    keyword: int = 0,
) -> Search:
    return search_of(**locals())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("required=32", 32),
        ("none=5", 5),
        ("none=word", "word"),
        ("optional=2", 2.0),
        ("optional=None", None),
        ("either=7", 7),
        ("either=seven", "seven"),
        ("choice=b", "b"),
        ("choice=3", 3),
        ("path=1", Path("1")),
        ("maybe_path=a/b", Path("a/b")),
        ("maybe_path=None", None),
        ("mode=SLOW", Mode.SLOW),
        ("mode=s", Mode.SLOW),
        ("flag=on", True),
        ("sides=1,2,3", (1, 2, 3)),
        ("sides=()", ()),
        ("pair=4,5", (4, "5")),
        ("names=['a', 'b,c']", ["a", "b,c"]),
        ("names=a", ["a"]),
        ("boxes=(1, 2), (3, 4)", [(1, 2), (3, 4)]),
        ("boxes=[(1, 2)]", [(1, 2)]),
        ("some={1, 2}", {1, 2}),
        ("rates=0.5,2", [0.5, 2.0]),
        ("table={'a': 1}", {"a": 1}),
        ("pixels=16", 16),
        ("doubted=2", 2),
        ("unreadable=2", 2),
        ("mixed=1,2", (1.0, 2.0)),
        ("words=b,c", ("b", "c")),
        ("keyword=4", 4),
    ],
)
def test_an_option_arrives_as_its_annotation_says(text: str, value: object) -> None:
    """The kind: any annotation that people write, be it one that only a type checker can read."""
    name = f"{__name__}:typed"
    parsed = parse_options(name, [text])
    assert parsed == {text.partition("=")[0]: value}
    assert [type(one) for one in parsed.values()] == [type(value)]
    backend: Any = make_backend(name, **{"required": 1, **parsed})
    assert backend.options[text.partition("=")[0]] == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("required=many", "a value of type int"),
        ("optional=many", "a value of type float"),
        ("choice=c", "one of a, b, 3"),
        ("mode=quick", "one of f, s, FAST"),
        ("flag=maybe", "true or false"),
        ("sides=1,b", "a value of type int"),
        ("pair=1", "2 values"),
        ("boxes=(1, 2, 3)", "2 values|a value of type int"),
        ("table=3", "a dictionary"),
        ("pixels=wide", "a value of type int"),
        ("keyword=x", "a value of type int"),
        ("colour=red", "key of .* one of: required, none, optional"),
        ("flag", "expected key=value"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(text: str, expected: str) -> None:
    with pytest.raises(
        InputError, match=f"backend option {text!r}: .*({expected})".replace("(1, 2, 3)", ".*")
    ):
        parse_options(f"{__name__}:typed", [text])


def test_an_option_given_twice_is_refused() -> None:
    with pytest.raises(InputError, match="'required=2': required is given twice"):
        parse_options(f"{__name__}:typed", ["required=1", "required=2"])


def by_place(side: int, step: int = 4, /, name: str = "n") -> Search:
    return search_of(side=side, step=step, name=name)


def open_ended(side: int = 8, **others: Any) -> Search:
    return search_of(side=side, **others)


class Tiles:
    """A class whose objects search."""

    def __init__(self, side: int) -> None:
        self.options = {"side": side}

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, None]:
        return np.zeros((1, 4)), None

    @classmethod
    def of_two(cls, side: int = 1) -> Tiles:
        return cls(2 * side)


@dataclass
class Grid:
    """A dataclass whose objects search."""

    side: int
    shapes: list[float] = field(default_factory=lambda: [1.0, 2.0])
    seed: InitVar[int] = 0
    deep: bool = field(default=False, kw_only=True)

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, None]:
        return np.zeros((1, 4)), None

    @property
    def options(self) -> dict[str, Any]:
        return {"side": self.side, "shapes": self.shapes, "deep": self.deep}


class Maker:
    """A factory that is an object."""

    def __call__(self, side: int = 3) -> Search:
        return search_of(side=side)


maker, half = Maker(), functools.partial(open_ended, depth=2)


@pytest.mark.parametrize(
    ("factory", "texts", "options"),
    [
        ("by_place", ["side=3"], {"side": 3, "step": 4, "name": "n"}),
        ("by_place", ["side=3", "step=5", "name=7"], {"side": 3, "step": 5, "name": "7"}),
        ("open_ended", ["side=2", "depth=3", "word=x"], {"side": 2, "depth": 3, "word": "x"}),
        ("Tiles", ["side=3"], {"side": 3}),
        ("Tiles.of_two", ["side=3"], {"side": 6}),
        ("Grid", ["side=3", "deep=1", "seed=4"], {"side": 3, "shapes": [1.0, 2.0], "deep": True}),
        ("Grid", ["side=3", "shapes=3"], {"side": 3, "shapes": [3.0], "deep": False}),
        ("maker", ["side=4"], {"side": 4}),
        ("half", ["side=4"], {"side": 4, "depth": 2}),
    ],
)
def test_whatever_can_be_called_is_a_factory(factory: str, texts: list[str], options: dict[str, Any]) -> None:
    """The kind: parameters by place only, ``**options``, classes, dataclasses, objects, class methods."""
    name = f"{__name__}:{factory}"
    backend: Any = make_backend(name, **parse_options(name, texts))
    assert backend.options == options
    assert backend(np.zeros((4, 4, 3), np.uint8))[0].shape == (1, 4)


@pytest.mark.parametrize("factory", ["by_place", "Tiles", "Grid", "typed"])
def test_a_missing_option_is_named(factory: str) -> None:
    needed = "required" if factory == "typed" else "side"
    with pytest.raises(InputError, match=f"needs {needed}: give --backend-options {needed}=VALUE"):
        make_backend(f"{__name__}:{factory}")


def search_itself(image: np.ndarray) -> tuple[np.ndarray, None]:
    return np.zeros((1, 4)), None


def forgets_to_return(side: int = 1) -> None:
    search_of(side=side)


def picky(side: int = -1) -> Search:
    if side < 0:
        raise ValueError("side must not be negative")
    return search_of(side=side)


number = 3


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("search_itself", "is it the search itself"),
        ("forgets_to_return", "expected a factory that returns a function of an image, got NoneType"),
        ("picky", "refuses no options: side must not be negative"),
        ("number", "expected a factory, got int"),
        ("Tiles.nothing", "nothing"),
    ],
)
def test_what_is_no_factory_is_said(factory: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_backend(f"{__name__}:{factory}")


def test_what_identifies_a_run_can_be_written_as_json() -> None:
    """Defaults of any type, and the same text in every process: no address of an object."""

    name = f"{__name__}:typed"
    given = parse_options(name, ["required=1", "path=a/b", "mode=SLOW", "some=2,1", "rates=1,2"])
    found = resolved_options(name, {**given, "none": object(), "unreadable": len})
    assert json.loads(json.dumps(found)) == found
    assert (found["path"], found["mode"], found["some"], found["rates"]) == (
        "a/b",
        "SLOW",
        [1, 2],
        [1.0, 2.0],
    )
    assert (found["none"], found["unreadable"]) == ("object", "builtins.len")
    assert resolved_options(f"{__name__}:Grid", {})["shapes"] == [1.0, 2.0]
