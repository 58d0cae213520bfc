"""Proposals of many images: in parallel, resumable, and the same whatever the number of workers.

Images are cut into chunks. A finished chunk is kept as a small part file in `<OUT>.parts/`, named by a hash
of everything it depends on (backend, options, filter, the files' names, sizes and times). A run that was
interrupted finds its parts again; after a change of options or images the names differ, so nothing stale is
used. The parts are removed when the whole file is written.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .backends import make_backend
from .backends.registry import resolved_options
from .coco import ImageProposals, assemble, write_json
from .filters import FilterOptions
from .images import ImageEntry, list_images
from .parallel import run_chunks
from .search import search_files

FORMAT = 1  # part of every hash: raise it when the meaning of a part file changes


@dataclass(frozen=True)
class ProposalOptions:
    """Everything the proposals depend on, apart from the images themselves.

    Attributes:
        backend: a name of :mod:`aligndet.proposals.backends`, with its options.
        filter: which raw boxes are kept.
        max_side: search on a copy whose long side is at most this many pixels, boxes scaled back;
            0 searches the image as it is. Filter options mean original pixels either way.
    """

    backend: str = "selectivesearch"
    backend_options: dict[str, Any] = field(default_factory=dict)
    filter: FilterOptions = field(default_factory=FilterOptions)
    max_side: int = 0

    def describe(self) -> dict[str, Any]:
        """All options with the backend's defaults filled in, as json can hold them."""
        options = resolved_options(self.backend, self.backend_options)
        rule = asdict(self.filter)
        return {
            "backend": self.backend,
            "backend_options": options,
            "filter": rule,
            "max_side": self.max_side,
        }


@dataclass(frozen=True)
class ProposalReport:
    """What a run did; `str()` is the summary a person reads."""

    images: int
    boxes: int
    without_boxes: int
    skipped: list[dict[str, str]]
    out: Path

    def __str__(self) -> str:
        mean = self.boxes / max(self.images, 1)
        lines = [f"{self.out}: {self.boxes} proposals in {self.images} images ({mean:.1f} per image)"]
        if self.without_boxes:
            lines.append(f"{self.without_boxes} images have no proposal")
        if self.skipped:
            lines.append(f"{len(self.skipped)} images skipped:")
            lines += [f"  {row['file_name']}: {row['reason']}" for row in self.skipped]
        return "\n".join(lines)


def make_proposals(
    source: Path,
    out: Path,
    options: ProposalOptions | None = None,
    image_root: Path | None = None,
    workers: int = 1,
    chunk: int = 16,
    progress: bool = True,
) -> ProposalReport:
    """Search every image of a folder or COCO json and write one COCO json of proposals.

    Args:
        source: folder (searched recursively) or COCO json.
        out: the json to write.
        options: see :class:`ProposalOptions`.
        image_root: folder of the json's file names, when it is not beside it.
        workers: processes; 1 works in this one. The result does not depend on it.
        chunk: images per part file.
        progress: show a bar with rate and time left.

    Raises:
        FileNotFoundError, ValueError, KeyError, TypeError, ImportError: wrong input or options, before any
            work is done; ValueError also when not one image can be used. Single images that cannot be read
            or searched raise nothing: they are skipped and listed.
    """
    options = options or ProposalOptions()
    make_backend(options.backend, **options.backend_options)  # fail here, not in a worker
    entries, root = list_images(Path(source), image_root)
    chunks = [entries[start : start + chunk] for start in range(0, len(entries), chunk)]
    parts_folder = out.with_name(f"{out.name}.parts")
    parts = [parts_folder / f"{_fingerprint(part, root, options)}.json" for part in chunks]
    _search_missing(chunks, parts, root, options, workers, progress)
    found = [ImageProposals(**row) for part in parts for row in json.loads(part.read_text(encoding="utf-8"))]
    if all(row.skipped for row in found):
        raise ValueError(
            f"none of the {len(found)} images in {root} can be used; the first: {found[0].skipped}"
        )
    info = {"description": "AlignDet proposals", **options.describe()}
    content = assemble(entries, found, info)
    write_json(out, content)
    shutil.rmtree(parts_folder)
    return _report(content, out)


def _search_missing(
    chunks: Sequence[Sequence[ImageEntry]],
    parts: Sequence[Path],
    root: Path,
    options: ProposalOptions,
    workers: int,
    progress: bool,
) -> None:
    """Search the chunks that have no part file yet and write their parts, each as soon as it is done."""
    total = sum(map(len, chunks))
    todo = [index for index, part in enumerate(parts) if not part.exists()]
    done = total - sum(len(chunks[index]) for index in todo)
    names = {index: [entry.file_name for entry in chunks[index]] for index in todo}
    search = partial(search_files, root=root, options=options)
    failed = 0
    with tqdm(total=total, initial=done, unit="img", disable=not progress, smoothing=0.05) as bar:
        for index, rows in run_chunks(names, search, workers):
            write_json(parts[index], [asdict(row) for row in rows])
            failed += sum(bool(row.skipped) for row in rows)
            bar.set_postfix(skipped=failed, refresh=False)
            bar.update(len(rows))


def _fingerprint(part: Sequence[ImageEntry], root: Path, options: ProposalOptions) -> str:
    """Hash of all that the chunk's result depends on."""
    files = []
    for entry in part:
        try:
            stat = (root / entry.file_name).stat()
            files.append([entry.file_name, stat.st_size, stat.st_mtime_ns])
        except OSError:
            files.append([entry.file_name, -1, -1])
    text = json.dumps([FORMAT, str(root.resolve()), options.describe(), files], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _report(content: dict[str, Any], out: Path) -> ProposalReport:
    counts = np.unique([row["image_id"] for row in content["annotations"]])
    images = len(content["images"])
    skipped = content["info"]["skipped"]
    return ProposalReport(images, len(content["annotations"]), images - len(counts), skipped, out)
