"""The images of a label file: each id and each name once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aligndet.common.labels.ids import Key, numbered
from aligndet.common.labels.report import Notes
from aligndet.common.labels.tables import MISSING, Tables

Array = np.ndarray


@dataclass
class Images:
    """Images, each once: its row by id, and what a file says of it."""

    names: list[str]
    keys: list[Key]
    sizes: Array
    places: Array
    rows: dict[Key, int]


def mend_images(tables: Tables, notes: Notes, exists: Callable[[str], bool] | None) -> Images:
    """The images, each id and each name once."""
    names = _names(tables, notes, exists)
    sizes = np.array(tables.sizes, np.int32).reshape(-1, 2)
    sizes[(sizes <= 0).any(axis=1)] = MISSING
    kept: list[int] = []
    rows: dict[Key, int] = {}
    of_name: dict[str, int] = {}
    for number, (key, name) in enumerate(zip(tables.image_keys, names, strict=True)):
        at = f"images[{tables.image_places[number]}] (id {key})"
        first = of_name.get(name)
        if key in rows and names[kept[rows[key]]] != name:
            what = _two_images(key, names[kept[rows[key]]], name)
            notes.refuse(what, f"images[{tables.image_places[number]}]:", mend="")
        elif first is not None and _differ(sizes[kept[first]], sizes[number]):
            one, two = ("{}x{}".format(*sizes[row]) for row in (kept[first], number))
            what = f"has 'file_name' {name} as another entry, {one} there and {two} here; expected one size"
            notes.refuse(what, at, mend="")
        elif first is not None:
            notes.mended("images that stand twice, taken as one with the boxes of both", at)
            rows.setdefault(key, first)
        else:
            rows[key] = of_name[name] = len(kept)
            kept.append(number)
    places = np.array(tables.image_places, np.int32)[kept] if kept else np.zeros(0, np.int32)
    keys = [tables.image_keys[number] for number in kept]
    return Images([names[number] for number in kept], keys, sizes[kept], places, rows)


def image_entries(tables: Tables) -> tuple[list[str], list[int]]:
    """File name and id of every image, in order; an id stands once, a name may stand twice."""
    names = _names(tables, tables.notes, None)
    first: dict[Key, str] = {}
    for key, name in zip(tables.image_keys, names, strict=True):
        if first.setdefault(key, name) != name:
            tables.notes.refuse(_two_images(key, first[key], name), mend="")
    return list(first.values()), numbered(list(first))[0]


def _two_images(key: Key, one: str, two: str) -> str:
    return (
        f"image ids are not unique: 'id' {key} stands for {one} and {two}; expected an id for each, "
        "their boxes cannot be told apart"
    )


def _differ(one: Array, two: Array) -> bool:
    return one[0] > 0 and two[0] > 0 and bool((one != two).any())


def _names(tables: Tables, notes: Notes, exists: Callable[[str], bool] | None) -> list[str]:
    """File names with forward slashes, where there is no file with the backslash in its name."""
    names = []
    for number, name in enumerate(tables.names):
        at = f"images[{tables.image_places[number]}] (id {tables.image_keys[number]})"
        if "\0" in name or not name.strip():
            notes.refuse(f"has 'file_name' {name!r}; expected the name of a file", at)
        if "\\" in name and not (exists and exists(name)):
            notes.mended("'file_name' with backslashes, read as folders", at)
            name = name.replace("\\", "/")
        names.append(name)
    return names
