"""How a command says that it was answered, and the answer is bad."""

from __future__ import annotations

from typing import Any


class CommandFailedError(Exception):
    """Ends a command after its result was printed, such as a check that failed.

    Attributes:
        result: written to ``--json`` like that of a command which succeeds.
        status: exit status: 1 where the work failed, 2 where what it was asked about is wrong.
    """

    def __init__(self, result: Any, text: str = "", status: int = 1) -> None:
        super().__init__(text)
        self.result, self.status = result, status
