"""A command's result as data."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from aligndet.common.files import write_json


def write_result(file: Path, result: Any) -> None:
    """Write a command's result as json: dataclasses as objects, paths as text, NaN as null."""
    write_json(file, plain(result), indent=2)


def plain(value: Any) -> Any:
    """Turn a result into what json has: objects, lists, text, finite numbers, true, false, null."""
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy's and torch's arrays and numbers
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool | None) else str(value)
