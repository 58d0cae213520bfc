"""What is sound in a damaged store becomes part files again, so that a run searches the rest alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.image_table import ImageEntry, ImageTable, decode_name
from aligndet.proposals.backends import make_backend
from aligndet.proposals.blocks import DamagedFiles, file_fault
from aligndet.proposals.integrity import sound_images
from aligndet.proposals.job import Job
from aligndet.proposals.layout import META, OPTIONAL, SKIPPED
from aligndet.proposals.mapping import read_skipped
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.parts import write_part
from aligndet.proposals.result import ImageProposals
from aligndet.proposals.store import is_store
from aligndet.proposals.store_meta import read_meta


@dataclass(frozen=True)
class Salvage:
    """What was kept of a store.

    Attributes:
        gaps: chunks of which some images are sound, by number; None stands for an image to search.
        notes: what the store told about its images; of those that are kept it is known from there alone.
    """

    gaps: dict[int, list[ImageProposals | None]]
    notes: list[str]


def salvage(path: Path, job: Job) -> Salvage | None:
    """Write the parts of a run whose images are sound in the store that the run will replace.

    An image that was written after the store is not taken from there.

    Returns:
        None where there is no store, one whose ``store.json`` is damaged, or one of other options or images.
    """
    if not is_store(path):
        return None
    try:
        meta = read_meta(path)
    except InputError:
        return None
    backend = make_backend(job.options.backend, **job.options.backend_options)
    if getattr(backend, "identity", "") or "clusters" in meta["info"]:
        return None  # of boxes that come from elsewhere nobody knows whether they are still the same
    if other_options(meta["info"], job.options):
        return None
    sound = SoundImages(path, meta)
    if sound.other_images(job.table):
        return None
    written = (path / META).stat().st_mtime_ns
    gaps: dict[int, list[ImageProposals | None]] = {}
    for index in range(len(job)):
        part = job.part(index)
        if part.exists():
            continue
        kept = [
            None if _written(job.root / entry.file_name) > written else sound.result(entry)
            for entry in job.images(index)
        ]
        if all(kept):
            write_part(part, [row for row in kept if row])
        elif any(kept):
            gaps[index] = kept
    return Salvage(gaps, [str(note) for note in meta["info"].get("notes", [])])


def other_options(info: Mapping[str, Any], options: ProposalOptions) -> str:
    """Which options a store was made with otherwise, in words; empty where with the same."""
    wanted = json.loads(json.dumps(options.describe()))
    others = [key for key, value in wanted.items() if info.get(key) != value]
    return f"made with other options ({', '.join(others)})" if others else ""


class SoundImages:
    """The images of a damaged store that are as they were written, by name.

    Args:
        path: the store. meta: its ``store.json``.
    """

    def __init__(self, path: Path, meta: Mapping[str, Any]) -> None:
        hashes = meta["sha256"]
        faults = [name for name in hashes if file_fault(path / name, hashes[name])]
        self._meta, self._files = meta, DamagedFiles(path, meta, faults)
        self._columns = {
            name: self._files.rows(name, 0, meta["columns"][name])
            for name in ("offsets", "name_offsets", "names", "sizes", "stamps")
            if name in meta["columns"]
        }
        names, ends = self._columns["names"].tobytes(), self._columns["name_offsets"].tolist()
        rows = np.flatnonzero(sound_images(self._files)).tolist()
        self._rows = {decode_name(names[ends[row] : ends[row + 1]]): row for row in rows}
        self._skipped: dict[str, str] = {}
        if SKIPPED not in faults:
            self._skipped = {row["file_name"]: row["reason"] for row in read_skipped(path)}

    def other_images(self, table: ImageTable) -> str:
        """Whether the store is of other images than a table, in words; empty where it seems not."""
        asked = {entry.file_name for entry in table} | {row["file_name"] for row in table.skipped}
        new = len(table) + len(table.skipped) - self._meta["images"] - self._meta["skipped"]
        gone = len((self._rows.keys() | self._skipped.keys()) - asked)
        return f"of other images ({gone} gone, {new:+d} in number)" if gone or new else ""

    def result(self, entry: ImageEntry) -> ImageProposals | None:
        """What was found in an image; None where that is damaged."""
        if entry.file_name in self._skipped:
            return ImageProposals(skipped=self._skipped[entry.file_name])
        row = self._rows.get(entry.file_name)
        if row is None:
            return None
        first, last = self._columns["offsets"][row : row + 2].tolist()
        width, height = self._columns["sizes"][row].tolist()
        stamp = int(self._columns["stamps"][row]) if "stamps" in self._columns else 0
        values: dict[str, Any] = {
            name: self._files.rows(name, first, last)
            for name in ("boxes", *OPTIONAL)
            if name in self._meta["columns"]
        }
        return ImageProposals(width, height, **values, stamp=stamp)


def _written(path: Path) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
