"""``store.json``: what a proposal store holds, its version, and a seal by which a change of it is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aligndet.common.errors import InputError
from aligndet.common.files import write_text
from aligndet.proposals.layout import BLOCKS, COLUMNS, FORMAT, META, SKIPPED, VERSION

MAKE = "aligndet proposals make IMAGES OUT"
AGAIN = "write the store again (--overwrite)"


def is_store(path: Path | str) -> bool:
    """Whether the folder ``path`` holds a proposal store."""
    return (Path(path) / META).is_file()


def read_meta(path: Path) -> dict[str, Any]:
    """``store.json`` of a store, checked.

    Raises:
        InputError: no such folder, or no store in it; a newer version; a file that is not as it was written.
    """
    file = path / META
    if not file.is_file():
        raise InputError(f"{path}: no proposal store there (no {META}). Make one with: {MAKE}")
    try:
        meta = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file}: not readable as json ({_short(error)}); {AGAIN}") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise InputError(f"{file}: not the {META} of a proposal store (no format {FORMAT!r}); {AGAIN}")
    _refuse_version(file, meta.get("version"))
    if fault := _fault(meta):
        raise InputError(f"{file}: damaged, {fault}; {AGAIN}")
    return meta


def write_meta(folder: Path, meta: Mapping[str, Any]) -> None:
    """Write ``store.json`` with its seal."""
    write_text(folder / META, json.dumps({**meta, "seal": seal_of(meta)}, indent=1))


def seal_of(meta: Mapping[str, Any]) -> str:
    """Hash what ``store.json`` says, without the seal and whatever its layout."""
    said = {key: value for key, value in meta.items() if key != "seal"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def lengths_of(images: int, boxes: int, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The rows that each of the columns must have."""
    rows = {"box": boxes, "image": images, "end": images + 1}
    return {name: rows.get(COLUMNS[name].per, columns[name]) for name in columns}


def usable_info(info: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of how boxes were made, without keys that somebody else filled with something else."""
    usable, clusters = dict(info), info.get("clusters", {})
    number = clusters.get("clusters", 0) if isinstance(clusters, dict) else None
    if type(number) is not int or not 0 <= number < 1 << 31 or not _texts(clusters.get("names", [])):
        del usable["clusters"]
    if not _texts(info.get("notes", [])):
        del usable["notes"]
    return usable


def _refuse_version(file: Path, version: Any) -> None:
    if type(version) is int and version > VERSION:
        raise InputError(
            f"{file}: a store of version {version}, written by a newer aligndet; this one reads version "
            f"{VERSION}. Update aligndet, or {AGAIN}"
        )
    if type(version) is not int or version != VERSION:
        raise InputError(f"{file}: version {_short(repr(version))}, expected {VERSION}; {AGAIN}")


def _fault(meta: Mapping[str, Any]) -> str:
    """What is wrong with a ``store.json``, in words; empty where nothing is."""
    kinds = {"images": int, "boxes": int, "skipped": int, "columns": dict, "info": dict, "sha256": dict}
    for key, kind in kinds.items():
        if type(meta.get(key)) is not kind:
            return f"{key!r} is missing or no {kind.__name__}"
    columns, hashes = meta["columns"], meta["sha256"]
    if {"seal", "bytes"} & meta.keys() or BLOCKS in hashes:  # stores of 0.2 and before have none of the three
        if meta.get("seal") != seal_of(meta):
            return "it changed since it was written"
        if type(meta.get("bytes")) is not dict or meta["bytes"].keys() != hashes.keys():
            return "'bytes' does not name the files of 'sha256'"
        if not _whole(meta["bytes"].values()):
            return "a length in 'bytes' is none"
    needed = {name for name, column in COLUMNS.items() if column.fill is None}
    if not needed <= columns.keys() <= COLUMNS.keys():
        return "'columns' does not name a store's columns"
    if not _whole((meta["images"], meta["boxes"], meta["skipped"], *columns.values())):
        return "a number of rows is none"
    if columns != lengths_of(meta["images"], meta["boxes"], columns):
        return "the lengths of its columns do not belong together"
    if hashes.keys() - {BLOCKS} != {*(f"{name}.npy" for name in columns), SKIPPED}:
        return "'sha256' does not name the store's files"
    return ""


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _whole(numbers: Iterable[Any]) -> bool:
    """Whether all are whole numbers that a file can have rows or bytes of."""
    return all(type(number) is int and 0 <= number < 1 << 62 for number in numbers)


def _short(thing: object, most: int = 120) -> str:
    text = " ".join(str(thing).split())
    return text if len(text) <= most else f"{text[:most]}..."
