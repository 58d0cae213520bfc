"""The parser of one command: whole option words only, and mistakes in one line with the nearest word."""

from __future__ import annotations

import argparse
from typing import NoReturn

from aligndet.common.errors import InputError, nearest

UNKNOWN = "unrecognized arguments: "


class Parser(argparse.ArgumentParser):
    """An argument parser without abbreviations that raises :class:`InputError` instead of ending Python."""

    def __init__(self, prog: str, summary: str, examples: str) -> None:
        super().__init__(
            prog=prog,
            description=summary,
            epilog=f"examples:\n{_indented(examples)}" if examples else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise the mistake in the words of argparse, with the nearest option and the place of the help."""
        if message.startswith(UNKNOWN):
            message += self._nearest_option(message.removeprefix(UNKNOWN))
        raise InputError(f"{message}; see {self.prog} --help")

    def _nearest_option(self, words: str) -> str:
        unknown = [word.partition("=")[0] for word in words.split() if word.startswith("-")]
        return nearest(unknown[0], self._option_string_actions) if unknown else ""


def _indented(examples: str) -> str:
    return "\n".join(f"  {line}" for line in examples.strip().splitlines())
