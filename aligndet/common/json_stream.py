"""Reading a json file of any size piece by piece, without holding it, or its Python objects, in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from aligndet.common.errors import InputError

BLOCK = 1 << 20  # characters read at once
_SPACE = " \t\r\n"
_decode = json.JSONDecoder().raw_decode


def stream_object(path: Path) -> Iterator[tuple[str, Any]]:
    """The entries of the json object in a file.

    Yields ``(key, value)``; where the value is a list, ``(key, element)`` once for each element instead (so
    an empty list yields nothing).

    Raises:
        InputError: the file holds no json object, or ends in the middle of it.
    """
    with path.open(encoding="utf-8") as stream:
        text = _Text(stream, path)
        if text.peek() == "\ufeff":
            raise InputError(f"{path}: begins with a byte order mark (BOM); save it as UTF-8 without one")
        text.expect("{", "a json object")
        if text.peek() == "}":
            return
        while True:
            key = text.value()
            text.expect(":", "':'")
            if text.peek() == "[":
                yield from ((key, element) for element in _elements(text))
            else:
                yield key, text.value()
            if text.take("},") == "}":
                return


def _elements(text: _Text) -> Iterator[Any]:
    text.take("[")
    if text.peek() == "]":
        text.take("]")
        return
    while True:
        yield text.value()
        if text.take("],") == "]":
            return


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
            if not self._more():
                raise InputError(f"{self.path}: the json ends in the middle; was it copied whole?")

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
            except json.JSONDecodeError as error:
                if not self._more():
                    raise InputError(f"{self.path}: not valid json ({error})") from error
                continue
            # a number may go on behind the window
            if end < len(self.window) or not self._more():
                self.at = end
                return value

    def _more(self) -> bool:
        """Read on; what lies behind is dropped. Each try doubles, so that a large value is not slow."""
        if self.ended:
            return False
        block = self.stream.read(max(BLOCK, len(self.window) - self.at))
        self.ended = not block
        self.window, self.at = self.window[self.at :] + block, 0
        return not self.ended
