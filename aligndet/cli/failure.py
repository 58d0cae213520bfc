"""How a command says that it was answered, and the answer is bad."""

from __future__ import annotations

from typing import Any


class CommandFailedError(Exception):
    """Ends a command with exit status 1 after its result was printed, such as a check that failed.

    Attributes:
        result: written to ``--json`` like that of a command which succeeds.
    """

    def __init__(self, result: Any, text: str = "") -> None:
        super().__init__(text)
        self.result = result
