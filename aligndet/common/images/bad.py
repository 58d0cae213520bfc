"""The rule for bad images, of every stage: they are told, left out, and end the run where they are many.

Bad is an image that is missing, truncated, not decodable, too large, or of another size than recorded.
"""

from __future__ import annotations

import math
import os
from contextlib import AbstractContextManager

from aligndet.common.errors import InputError
from aligndet.common.inherited import inherited
from aligndet.common.notices import warn

#: Holds what ``--max-bad`` says, for the processes of a command.
VARIABLE = "ALIGNDET_MAX_BAD"
#: The most images of a data set that may be bad, in percent.
DEFAULT = 1.0
INSTEAD = "another image takes its place"


def max_bad() -> float:
    """The most images of a data set that may be bad, in percent: of ``--max-bad``, else :data:`DEFAULT`.

    Raises:
        InputError: it is no number from 0 to 100.
    """
    return _checked(os.environ.get(VARIABLE) or str(DEFAULT))


def _checked(text: str) -> float:
    try:
        percent = float(text)
    except ValueError:
        percent = math.nan
    if not 0 <= percent <= 100:
        raise InputError(f"--max-bad {text}: expected a number from 0 to 100, in percent of the images")
    return percent


def limited_to(percent: float | None) -> AbstractContextManager[None]:
    """Let so many percent of the images be bad; None leaves the limit as it is.

    Raises:
        InputError: it is no number from 0 to 100.
    """
    if percent is not None:
        _checked(str(percent))
    return inherited(VARIABLE, None if percent is None else f"{percent:g}")


def most_bad(images: int, percent: float) -> int:
    """How many of so many images may be bad: a share that is rounded up, so that one may in a small set."""
    return math.ceil(images * percent / 100 - 1e-9)


class TooManyBadError(RuntimeError):
    """Says that more images are bad than may be."""


class BadImages:
    """Counts and tells the bad images of a run.

    Args:
        images: that there are.
        percent: of them that may be bad.
        instead: what is done with one.
    """

    def __init__(self, images: int, percent: float, instead: str = INSTEAD) -> None:
        self.images, self.percent, self.instead = images, percent, instead
        self.most = most_bad(images, percent)
        self.count, self.first = 0, ""

    def add(self, name: str, reason: str, aloud: bool = True) -> None:
        """Count one and tell it; only one process of several tells it aloud."""
        self.count += 1
        self.first = self.first or f"{name} ({reason})"
        if not aloud:
            return
        so_far = f"{self.count} of {self.images} so far, at most {self.most}"
        warn(f"{name}: {reason}; {self.instead} ({so_far})")

    @property
    def too_many(self) -> bool:
        """Whether there are more than may be."""
        return self.count > self.most

    def refuse_many(self, goes_on: str) -> None:
        """End the run where there are too many.

        Args:
            goes_on: how it goes on when that is mended.

        Raises:
            TooManyBadError: there are.
        """
        if self.too_many:
            raise TooManyBadError(self.many(goes_on))

    def many(self, goes_on: str) -> str:
        """Say that they are too many, and how to mend it."""
        return (
            f"{self.count} of {self.images} images are bad, more than {self.percent:g} %, such as "
            f"{self.first}; mend or remove them, or give a higher --max-bad; {goes_on}"
        )
