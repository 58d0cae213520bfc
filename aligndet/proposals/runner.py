"""Proposals of many images: in parallel, resumable, and the same whatever the number of workers.

Images are cut into chunks. A finished chunk is kept as a small part file in ``OUT.parts/``, named by a hash
of everything it depends on (backend, options, filter, the files' names, sizes and times). A run that was
interrupted finds its parts again; after a change of options or images the names differ, so nothing stale is
used. When every chunk has its part, they are put together in the order of the images, and removed.

Any number of processes on any number of machines may fill one parts folder (see `shard`); memory does not
grow with the number of boxes, and by some tens of bytes for each image.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.console import Console
from aligndet.common.errors import InputError
from aligndet.common.image_table import ImageTable
from aligndet.common.images import list_images
from aligndet.common.images.bad import BadImages
from aligndet.proposals.backends import make_backend
from aligndet.proposals.coco import write_coco
from aligndet.proposals.engines import make_engine
from aligndet.proposals.job import Job, assemble, chunk_size
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.parallel import run_chunks
from aligndet.proposals.parts import part_key, write_part
from aligndet.proposals.result import ImageProposals
from aligndet.proposals.salvage import salvage
from aligndet.proposals.store import ProposalStore
from aligndet.proposals.store_writer import check_out, into_place

SHOWN = 20  # skipped images named in a summary
GOES_ON = "the same command then goes on; what was searched is kept"


@dataclass(frozen=True)
class ProposalReport:
    """What a run did; `str()` is the summary a person reads.

    Attributes:
        images, boxes, without_boxes: of the file written; all 0 for a shard, which writes none.
        searched: images searched in this run; those of earlier runs were found done.
        skips: images left out.
        skipped: file name and reason of the first of them; `out` holds all.
        notes: what else a person should know about the images.
        out: the store or json.
        shard: which part of the work this was, as "2/8"; empty for the whole.
    """

    images: int
    boxes: int
    without_boxes: int
    searched: int
    skips: int
    skipped: list[dict[str, str]]
    out: Path
    shard: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.shard:
            return (
                f"shard {self.shard}: done ({self.searched} images searched now). When all shards are done, "
                f"the same command without --shard writes {self.out}"
            )
        mean = self.boxes / max(self.images, 1)
        lines = [f"{self.out}: {self.boxes} proposals in {self.images} images ({mean:.1f} per image)"]
        if self.without_boxes:
            lines.append(f"{self.without_boxes} images have no proposal")
        lines += [f"note: {note}" for note in self.notes]
        if self.skips:
            lines.append(f"{self.skips} images skipped:")
            lines += [f"  {row['file_name']}: {row['reason']}" for row in self.skipped]
        if self.skips > len(self.skipped):
            place = "info.skipped" if self.out.suffix == ".json" else "skipped.jsonl"
            lines.append(f"  and {self.skips - len(self.skipped)} more, all in {place} of {self.out}")
        return "\n".join(lines)


def make_proposals(
    source: Path | tuple[ImageTable, Path],
    out: Path,
    options: ProposalOptions | None = None,
    image_root: Path | None = None,
    workers: int = 0,
    chunk: int = 0,
    progress: bool = True,
    engine: str = "local",
    scheduler: str = "",
    shard: tuple[int, int] | None = None,
    info: Mapping[str, Any] | None = None,
    mend: bool = False,
    max_bad: float = 100.0,
) -> ProposalReport:
    """Search every image of a folder or COCO json and write a proposal store or COCO json.

    Args:
        source: images as :func:`aligndet.common.images.list_images` takes or gives them.
        out: what to write: a COCO json if its name ends in ".json", else the folder of a store.
        options: see :class:`.options.ProposalOptions`.
        image_root: folder of the json's file names, when it is not beside it.
        workers: processes of the local engine; 0 works in this one. The result does not depend on it.
        chunk: images per part file; 0 chooses by their number.
        progress: tell how far it is, with the time left.
        engine, scheduler: see :func:`.engines.make_engine`.
        info: put into the store's, too.
        mend: take from a store that is there, of the same options and images, what is sound in it.
        max_bad: percent of the images that may be skipped.
        shard: (i, n) does only every n-th chunk, from the i-th (0 to n - 1), and writes no `out`.

    Raises:
        InputError: wrong input or options, before any work is done; or not one image can be used. Single
            images that cannot be read or searched raise nothing: they are skipped and listed.
        TooManyBadError: more are skipped than may be; the work is kept.
    """
    options = options or ProposalOptions()
    backend = make_backend(options.backend, **options.backend_options)  # fail here, not in a worker
    first, step = shard or (0, 1)
    if not 0 <= first < step:
        raise InputError(f"shard {first}/{step}: expected i/n with 0 <= i < n")
    as_json = out.suffix == ".json"
    if not as_json:
        check_out(out)
    table, root = source if isinstance(source, tuple) else list_images(Path(source), image_root)
    if check_names := getattr(backend, "check_names", None):
        check_names(entry.file_name for entry in table)
    folder = out.with_name(f"{out.name}.parts")
    job = Job(table, root.absolute(), options, folder, part_key(options), chunk or chunk_size(len(table)))
    mine = range(first, len(job), step)
    sound = salvage(out, job) if mend else None
    missing = _Missing(job, mine, sound.gaps if sound else {})
    bad = BadImages(len(table), max_bad, "it is skipped")
    searched = _search_missing(missing, bad, engine, workers, scheduler, progress)
    if shard:
        return ProposalReport(0, 0, 0, searched, 0, [], out, f"{first}/{step}")
    store = assemble(job, folder / "store", info or {}, sound.notes if sound else None)
    report = report_of(store, searched, out)
    if (skips := report.skips - len(table.skipped)) > bad.count:  # some of them in earlier runs
        row = next(islice(store.skipped(), len(table.skipped), None))
        bad.count, bad.first = skips, f"{row['file_name']} ({row['reason']})"
    bad.refuse_many(GOES_ON)
    if as_json:
        write_coco(store, out)
    else:
        into_place(folder / "store", out)
    shutil.rmtree(folder, ignore_errors=True)
    return report


def _search_missing(
    missing: _Missing, bad: BadImages, kind: str, workers: int, scheduler: str, progress: bool
) -> int:
    """Search the chunks that have no part file yet and write their parts, each as soon as it is done."""
    job, mine = missing.job, missing.mine
    chunks = iter(missing)
    first = next(chunks, None)
    if first is None:
        return 0  # no process is started when everything is done
    total = sum(len(job.numbers(index)) for index in mine)
    searched = 0
    with (
        closing(make_engine(kind, min(workers, len(mine)), scheduler)) as engine,
        Console(quiet=not progress).stage("proposals") as told,
    ):
        for index, rows in run_chunks(chain([first], chunks), job.search(), engine):
            missing.write(index, rows)
            searched += len(rows)
            for name, row in zip(missing.names.pop(index), rows, strict=True):
                if row.skipped:
                    bad.add(name, row.skipped, aloud=bad.count < SHOWN)
            bad.refuse_many(GOES_ON)
            told.update(missing.found + searched, total, f"{bad.count} skipped" if bad.count else "")
    return searched


class _Missing:
    """The chunks without a part file, found one by one as they are asked for.

    Args:
        gaps: what is known of some chunks; None stands for an image that is not.

    Attributes:
        found: images seen so far of which the results are known.
        names: of the images of the chunks in hand.
    """

    def __init__(
        self, job: Job, mine: Sequence[int], gaps: Mapping[int, Sequence[ImageProposals | None]]
    ) -> None:
        self.job, self.mine, self.found = job, mine, 0
        self._gaps, self._parts = gaps, dict[int, Path]()
        self.names = dict[int, list[str]]()

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for index in self.mine:
            part, images = self.job.part(index), self.job.images(index)
            if part.exists():
                self.found += len(images)
                continue
            known = self._gaps.get(index, [None] * len(images))
            names = [entry.file_name for entry, row in zip(images, known, strict=True) if row is None]
            self.found += len(images) - len(names)
            self._parts[index], self.names[index] = part, names
            yield index, names

    def write(self, index: int, rows: Sequence[ImageProposals]) -> None:
        """Write the part of a chunk whose missing images were searched."""
        searched = iter(rows)
        known = self._gaps.get(index, [None] * len(rows))
        write_part(self._parts.pop(index), [next(searched) if row is None else row for row in known])


def report_of(store: ProposalStore, searched: int, out: Path) -> ProposalReport:
    """Count what a store holds and name the first of its skipped images."""
    counts = store.counts
    shown: list[dict[str, str]] = []
    skips = 0
    for row in store.skipped():
        skips += 1
        if len(shown) < SHOWN:
            shown.append(row)
    empty = int((counts == 0).sum())
    notes = tuple(str(note) for note in store.info.get("notes", []))
    return ProposalReport(len(store), int(np.sum(counts)), empty, searched, skips, shown, out, notes=notes)
