"""Tables for people: Markdown whose columns are padded, so that it also reads in a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table, without a line end behind it."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.MARKDOWN)
    for name in header:
        table.add_column(Text(name))
    lines = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    for line in lines:
        table.add_row(*(Text(cell, no_wrap=True) for cell in line))
    out = io.StringIO()
    Console(file=out, width=100_000, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())
