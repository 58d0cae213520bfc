"""What pre-training takes of a user's config: kept, replaced or left out, and why, as one table."""

from __future__ import annotations

from dataclasses import dataclass, field

KEPT, REPLACED, LEFT_OUT = "kept", "replaced", "left out"
#: Characters of the first column; longer keys run over it.
WIDTH = 60


@dataclass
class Table:
    """Collects rows: key of the user's config, what became of it, because of what.

    Attributes:
        rows: in the order in which they were told.
    """

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def kept(self, key: str, because: str = "") -> None:
        """Say that a key is as the config has it."""
        self.rows.append((key, KEPT, because))

    def replaced(self, key: str, because: str) -> None:
        """Say that the recipe gives another value."""
        self.rows.append((key, REPLACED, because))

    def left_out(self, key: str, because: str) -> None:
        """Say that pre-training has nothing at this key."""
        self.rows.append((key, LEFT_OUT, because))

    def text(self, name: str) -> str:
        """Write the table, what changed first.

        Args:
            name: of the user's config.
        """
        rows = sorted(self.rows, key=lambda row: row[1] == KEPT)
        first = min(max((len(key) for key, _, _ in rows), default=0), WIDTH)
        second = len(LEFT_OUT)
        lines = [f"{key:<{first}}  {what:<{second}}  {because}".rstrip() for key, what, because in rows]
        return "\n".join(
            [f"What pre-training takes of {name}, and what it replaces because of what:", *lines, ""]
        )
