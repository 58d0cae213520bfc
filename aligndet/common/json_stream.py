"""Reading a json file of any size piece by piece, without holding it, or its Python objects, in memory."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

from aligndet.common.errors import InputError

T = TypeVar("T")

BLOCK = 1 << 18  # characters read at once
TRIES = 8  # places near each other, at which an element may end, that are looked at
_SPACE = " \t\r\n"
_GZIP = b"\x1f\x8b"
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_decode = json.JSONDecoder().raw_decode


def encoding_of(head: bytes) -> str:
    """How a text that begins with these bytes is written, by its byte order mark; utf-8 without one."""
    return next((name for mark, name in _MARKS.items() if head.startswith(mark)), "utf-8")


def is_packed(path: Path) -> bool:
    """Whether a file is packed with gzip, whatever its name."""
    with path.open("rb") as stream:
        return stream.read(2) == _GZIP


def open_text(path: Path) -> io.TextIOWrapper:
    """Open a text file of UTF-8, or of what its byte order mark says, packed with gzip or not."""
    raw: Any = path.open("rb")
    try:
        if raw.read(2) == _GZIP:
            raw.seek(0)
            raw = gzip.GzipFile(fileobj=raw)
        else:
            raw.seek(0)
        encoding = encoding_of(raw.read(4))
        raw.seek(0)
        return io.TextIOWrapper(raw, encoding=encoding)
    except BaseException:
        raw.close()
        raise


def stream_object(path: Path) -> Iterator[tuple[str, Any]]:
    """The entries of the json object in a file.

    Yields ``(key, value)``; where the value is a list, ``(key, element)`` once for each element instead (so
    an empty list yields nothing).

    Raises:
        InputError: the file holds no json object, or ends in the middle of it.
    """
    with _faults(path):
        for key, value, is_list in _members(path, lambda _, text: ([element] for element in _elements(text))):
            if is_list:
                yield from ((key, element) for elements in value for element in elements)
            else:
                yield key, value


def stream_blocks(
    path: Path, decode: Callable[[str, str], list[T] | None]
) -> Iterator[tuple[str, list[T] | list[Any] | None, Any]]:
    """The entries of the json object in a file, many elements of a list at once.

    Args:
        path: of the file.
        decode: makes elements of a json list, given its key and its text; None where it cannot. The standard
            library is asked then, whose objects take ten times as long.

    Yields:
        ``(key, elements, None)`` for a list, in order and as often as its length needs, and at least once;
        ``(key, None, value)`` for any other value.

    Raises:
        InputError: the file holds no json object, or ends in the middle of it.
    """
    with _faults(path):
        for key, value, is_list in _members(path, lambda key, text: _blocks(text, partial(decode, key))):
            if not is_list:
                yield key, None, value
                continue
            empty = True
            for elements in value:
                empty = False
                yield key, elements, None
            if empty:
                yield key, [], None


def _members(
    path: Path, read_list: Callable[[str, _Text], Iterator[list[Any]]]
) -> Iterator[tuple[str, Any, bool]]:
    """Key and value of each member; of a list, the parts that ``read_list`` gives, to be read at once."""
    with open_text(path) as stream:
        text = _Text(stream, path)
        text.expect("{", "a json object")
        if text.peek() == "}":
            return
        while True:
            key = text.value()
            text.expect(":", "':'")
            if text.peek() == "[":
                yield key, read_list(key, text), True
            else:
                yield key, text.value(), False
            if text.take("},") == "}":
                return


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """Say of a file that is no text, or cannot be unpacked, what it is."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not a text file of UTF-8; expected a json. Is it in another encoding? Then: "
            f"iconv -f latin1 -t utf-8 {path} > new.json"
        ) from error
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path}: cannot be unpacked ({error}); was it copied whole?") from error
    except RecursionError as error:
        raise InputError(f"{path}: lists in lists, too deep to read; expected a json of labels") from error


def _elements(text: _Text) -> Iterator[Any]:
    text.take("[")
    if text.peek() == "]":
        text.take("]")
        return
    while True:
        yield text.value()
        if text.take("],") == "]":
            return


def _blocks(text: _Text, decode: Callable[[str], list[Any] | None]) -> Iterator[list[Any]]:
    text.take("[")
    if text.peek() == "]":
        text.take("]")
        return
    cut = True
    while True:
        elements = _block(text, decode) if cut else None
        cut = elements is not None or text.ended
        yield [text.value()] if elements is None else elements
        if text.take("],") == "]":
            return


def _block(text: _Text, decode: Callable[[str], list[Any] | None]) -> list[Any] | None:
    """Elements up to the last one that ends in the window; None where no end of one is found.

    An end looks like ``},``. A cut inside an element leaves a bracket or a text open, and one behind the end
    of the list has something left over, so that what is before it is no json list: the next places are tried,
    and then those in the first half.
    """
    text.fill()
    last = len(text.window)
    while last - text.at > 2:
        place = last
        for _ in range(TRIES):
            place = _end_before(text, place)
            if place < 0:
                return None
            part = f"[{text.window[text.at : place + 1]}]"
            elements = decode(part)
            if elements is None:
                elements = _loaded(part)
            if elements is not None:
                text.at = place + 1
                return elements
        last = text.at + (place - text.at) // 2
    return None


def _end_before(text: _Text, place: int) -> int:
    """Where the last ``}`` before ``place`` is that a comma follows; -1 for none."""
    while True:
        place = text.window.rfind("}", text.at, place)
        if place < 0 or text.window[place + 1 : place + 80].lstrip(_SPACE).startswith(","):
            return place


def _loaded(part: str) -> list[Any] | None:
    try:
        elements = json.loads(part)
    except ValueError:
        return None
    return elements if isinstance(elements, list) else None


class _Text:
    """A window that moves over the file; ``at`` is the place in it."""

    def __init__(self, stream: IO[str], path: Path) -> None:
        self.stream, self.path = stream, path
        self.window, self.at, self.ended = "", 0, False

    def peek(self) -> str:
        """The next character that is no space."""
        while True:
            while self.at < len(self.window):
                if self.window[self.at] not in _SPACE:
                    return self.window[self.at]
                self.at += 1
            empty = not self.window
            if not self._more():
                what = "file is empty" if empty else "json ends in the middle"
                raise InputError(f"{self.path}: the {what}; was it copied whole?")

    def take(self, allowed: str) -> str:
        """The next character, which must be one of those allowed."""
        character = self.peek()
        if character not in allowed:
            raise InputError(f"{self.path}: expected one of {' '.join(allowed)} but found {character!r}")
        self.at += 1
        return character

    def expect(self, character: str, meaning: str) -> None:
        if self.peek() != character:
            raise InputError(f"{self.path}: expected {meaning}, found {self.peek()!r}")
        self.at += 1

    def value(self) -> Any:
        """The next whole json value; the window grows until it is in it."""
        self.peek()
        while True:
            try:
                value, end = _decode(self.window, self.at)
            except ValueError as error:  # numbers of thousands of digits, too
                if not self._more():
                    raise InputError(f"{self.path}: not valid json ({error})") from error
                continue
            # a number may go on behind the window
            if end < len(self.window) or not self._more():
                self.at = end
                return value

    def fill(self) -> None:
        """Read on until a block lies ahead, or the file has ended."""
        self.peek()
        while len(self.window) - self.at < BLOCK and self._more():
            pass

    def _more(self) -> bool:
        """Read on; what lies behind is dropped. Each try doubles, so that a large value is not slow."""
        if self.ended:
            return False
        block = self.stream.read(max(BLOCK, len(self.window) - self.at))
        self.ended = not block
        self.window, self.at = self.window[self.at :] + block, 0
        return not self.ended
