"""The classes of a label file: each id and each name once."""

from __future__ import annotations

from aligndet.common.labels.ids import Key, numbered
from aligndet.common.labels.report import Notes
from aligndet.common.labels.tables import Tables


def mend_classes(
    tables: Tables, notes: Notes, proposals: bool
) -> tuple[tuple[str, ...], tuple[int, ...], dict[Key | None, int]]:
    """Class names, their ids, and the class of each id that boxes name."""
    ids: dict[Key, str] = {}
    of_name: dict[str, int] = {}
    class_of: dict[Key | None, int] = {}
    keys: list[Key] = []
    for key, name in tables.categories:
        if key in ids:
            if ids[key] != name:
                what = f"'id' {key} stands for {ids[key]!r} and {name!r}; expected an id for each"
                notes.refuse(what, "categories: ids are not unique,", mend="")
            else:
                notes.mended("classes that stand twice, taken as one")
            continue
        ids[key] = name
        if name in of_name:
            notes.mended(f"two categories of one name, taken as one class ({name!r})")
        else:
            of_name[name] = len(keys)
            keys.append(key)
        class_of[key] = of_name[name]
    used = [key for key in tables.categories_of if key is not None]
    if proposals and len(keys) < 2:
        only = next(iter(of_name), "object")
        return (only,), tuple(numbered(keys or [1])[0]), dict.fromkeys(tables.categories_of, 0)
    if not keys and tables.categories_of:
        keys = sorted(used, key=lambda key: (isinstance(key, str), key)) or [1]
        notes.mended("no 'categories': classes are named by the ids of the boxes")
        of_name = {str(key): place for place, key in enumerate(keys)}
        class_of.update({key: place for place, key in enumerate(keys)})
    if len(keys) == 1 and not set(tables.categories_of) <= set(class_of) and len(tables.categories_of) == 1:
        notes.mended(
            f"boxes of a 'category_id' that is not there, taken as the only class ({next(iter(of_name))!r})"
        )
        class_of.update(dict.fromkeys(tables.categories_of, 0))
    numbers, anew = numbered(keys)
    notes.mended("category ids that are text or beyond 63 bits, numbered", count=anew)
    return tuple(of_name), tuple(numbers), class_of
