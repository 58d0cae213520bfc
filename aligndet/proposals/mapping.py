"""The files of a proposal store as arrays, their types and lengths checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import numpy as np

from aligndet.common.errors import InputError
from aligndet.proposals.layout import COLUMNS, META, SKIPPED
from aligndet.proposals.store_meta import AGAIN

Array = np.ndarray
#: What numpy raises for files that are no npy: their head is parsed as Python, a zip is opened.
UNREADABLE: tuple[type[Exception], ...] = (
    *(OSError, ValueError, EOFError, SyntaxError, TypeError, LookupError),
    *(OverflowError, MemoryError, TokenError, BadZipFile),
)


def map_columns(path: Path, meta: Mapping[str, Any]) -> dict[str, Array]:
    """Map the columns that ``store.json`` names.

    Raises:
        InputError: names the file that is no column, or another one.
    """
    return {name: _map(path, name, meta) for name in COLUMNS if name in meta["columns"]}


def read_skipped(path: Path) -> Iterator[dict[str, str]]:
    """Read ``skipped.jsonl`` line by line.

    Raises:
        InputError: a line is none.
    """
    with (path / SKIPPED).open("rb") as lines:
        for line in lines:
            yield _skipped_row(path / SKIPPED, line)


def _skipped_row(file: Path, line: bytes) -> dict[str, str]:
    """A line of ``skipped.jsonl``."""
    try:
        row = json.loads(line)
        return {"file_name": str(row["file_name"]), "reason": str(row["reason"])}
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(f"{file}: a line is no skipped image ({line[:60]!r}); {AGAIN}") from error


def _map(path: Path, name: str, meta: Mapping[str, Any]) -> Array:
    """One column of a store, its type and length checked against ``store.json``."""
    file, column = path / f"{name}.npy", COLUMNS[name]
    try:
        empty = meta["columns"][name] == 0  # an empty file cannot be mapped
        array = np.load(file, mmap_mode=None if empty else "r", allow_pickle=False)
    except UNREADABLE as error:
        raise InputError(f"{file}: a column of the store cannot be read ({error}); {AGAIN}") from error
    expected = (meta["columns"][name], *column.row)
    if not isinstance(array, np.ndarray):
        raise InputError(f"{file}: no npy file; {AGAIN}")
    if array.dtype != np.dtype(column.dtype) or array.shape != expected:
        raise InputError(
            f"{file}: holds {array.dtype} {array.shape}, {META} says {column.dtype} {expected}; "
            f"the files do not belong together; {AGAIN}"
        )
    return array
