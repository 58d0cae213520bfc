"""The images that a file without names follows: those of a COCO json, by order or by id."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.image_table import ImageTable
from aligndet.common.labels.coco import read_coco_tables
from aligndet.common.labels.ids import is_plain, key_of

Given = Path | str | None


@dataclass(frozen=True)
class Order:
    """Images of a COCO json in its order.

    Attributes:
        path: the json.
        table: names, ids and sizes. A text for an id is numbered.
        rows: place in the table by id as the json has it.
        categories: id and name of each.
    """

    path: Path
    table: ImageTable
    rows: dict[int | str, int]
    categories: list[tuple[int | str, str]]

    def rows_of(self, ids: list[Any], source: object) -> np.ndarray:
        """(n,) int64 places of ids, texts of digits taken for numbers.

        Raises:
            InputError: an id that the json does not have.
        """
        found: dict[Any, int] = {}
        for number in ids:
            if not isinstance(number, int | str | float) or number not in found:
                key = key_of(number)
                if key is None or key not in self.rows:
                    raise InputError(
                        f"{source}: has boxes of the image with the id {number!r}, which is not in "
                        f"{self.path}; give the json whose images it is of (--order)"
                    )
                found[number] = self.rows[key]
        return np.array([found[number] for number in ids], np.int64)


def read_order(path: Path | str) -> Order:
    """Read the images of a COCO json; annotations are not needed.

    Raises:
        InputError: no COCO json, an entry that is no image, or an id that stands twice.
    """
    path = Path(path)
    tables = read_coco_tables(path, ("images",))
    for note in tables.notes:
        if note.kind == "refused":
            raise InputError(f"{path}: {note}")
    table, rows = ImageTable(), dict[int | str, int]()
    for place, (name, key) in enumerate(zip(tables.names, tables.image_keys, strict=True)):
        if key in rows:
            raise InputError(
                f"{path}: images[{place}] has the id {key!r} of images[{rows[key]}]; expected one of each"
            )
        rows[key] = place
        number = key if is_plain(key) else place + 1
        table.add(name, int(number), *tables.sizes[2 * place : 2 * place + 2])
    return Order(path, table, rows, tables.categories)


def needed(source: Path, order: Given, what: str) -> Order:
    """Read the order that a file cannot be read without.

    Raises:
        InputError: none is given; see :func:`read_order` for more.
    """
    if order is None:
        raise InputError(f"{source}: {what}; give the COCO json of its images (--order JSON)")
    return read_order(order)
