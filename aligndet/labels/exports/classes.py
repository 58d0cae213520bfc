"""Classes of labels that name them by text: numbered in the order of their names."""

from __future__ import annotations

from aligndet.common.labels.tables import Tables


class Classes:
    """Gives every name a number, from 1."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, name: str) -> int:
        """The number of a name."""
        return self._numbers.setdefault(name, len(self._numbers) + 1)

    def put(self, tables: Tables) -> None:
        """Make them the classes of labels, in the order of their names: files of one project agree."""
        tables.categories.extend((self._numbers[name], name) for name in sorted(self._numbers))
