"""The work of one run: images cut into chunks, their part files, and the store put together from these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aligndet.common.errors import InputError
from aligndet.common.image_table import ImageEntry, ImageTable
from aligndet.proposals.layout import OPTIONAL
from aligndet.proposals.notes import Notes
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.parts import part_name, read_part
from aligndet.proposals.result import ImageProposals
from aligndet.proposals.search import search_files
from aligndet.proposals.store import ProposalStore
from aligndet.proposals.store_writer import StoreWriter


@dataclass(frozen=True)
class Job:
    """The images of a run, cut into chunks.

    Attributes:
        table: the images.
        root: the folder their names are relative to.
        options: how they are searched.
        folder: where the part files lie.
        key: see :func:`.parts.part_key`.
        chunk: images per part.
    """

    table: ImageTable
    root: Path
    options: ProposalOptions
    folder: Path
    key: str
    chunk: int

    def __len__(self) -> int:
        return -(-len(self.table) // self.chunk)

    def numbers(self, index: int) -> range:
        """Places in the table of a chunk's images."""
        return range(index * self.chunk, min((index + 1) * self.chunk, len(self.table)))

    def images(self, index: int) -> list[ImageEntry]:
        """The images of a chunk."""
        return [self.table[number] for number in self.numbers(index)]

    def part(self, index: int) -> Path:
        """Where a chunk's results are kept; changes with the files and the options."""
        return self.folder / part_name(self.images(index), self.root, self.key)

    def search(self) -> Callable[[Sequence[str]], list[ImageProposals]]:
        """What a worker does with the names of a chunk."""
        return partial(search_files, root=self.root, options=self.options)


def chunk_size(images: int) -> int:
    """Images per part file: few parts for many images, many parts for few, whatever the machine."""
    return min(64, max(4, images // 2048))


def assemble(
    job: Job, out: Path, more: Mapping[str, Any], known: Sequence[str] | None = None
) -> ProposalStore:
    """One store of all parts, in the order of the images.

    Args:
        more: put into its info. known: notes on the images, where the parts do not have them all.

    Raises:
        InputError: not one image could be used.
    """
    info = {"description": "AlignDet proposals", **job.options.describe(), **more}
    notes = Notes()
    with StoreWriter(out, info) as writer:
        for left in job.table.skipped:
            writer.skip(left["file_name"], left["reason"])
        for index in range(len(job)):
            for number, row in zip(job.numbers(index), _rows(job, index), strict=True):
                entry = job.table[number]
                if row.skipped:
                    writer.skip(entry.file_name, row.skipped)
                else:
                    notes.add(number, entry.file_name, row)
                    size, optional = (row.width, row.height), {name: getattr(row, name) for name in OPTIONAL}
                    writer.append(entry.file_name, entry.id, size, row.boxes, row.stamp, **optional)
                reason = row.skipped
        if not writer.images:
            raise InputError(
                f"none of the {len(job.table)} images in {job.root} can be used; the last: {reason}"
            )
        told = [line for line in (job.table.left_out(), *notes.lines(job.table)) if line]
        if told := told if known is None else list(known):
            writer.info["notes"] = told
    return ProposalStore.open(out)


def _rows(job: Job, index: int) -> list[ImageProposals]:
    """The results of a chunk; searched again where its part file was damaged meanwhile."""
    rows = read_part(job.part(index))
    return job.search()([entry.file_name for entry in job.images(index)]) if rows is None else rows
