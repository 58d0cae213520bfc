"""Finished pieces of a run: one small file per chunk of images, named by all that its content depends on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aligndet.common.image_table import ImageEntry
from aligndet.common.sealed import read_sealed, write_sealed
from aligndet.proposals.backends import make_backend
from aligndet.proposals.layout import OPTIONAL
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.result import ImageProposals

FORMAT = 4  # part of every name: raise it when the meaning of a part file changes


def part_key(options: ProposalOptions) -> str:
    """What all parts of a run share: the options, and the backend's own identity where it has one."""
    backend = make_backend(options.backend, **options.backend_options)
    return json.dumps([FORMAT, options.describe(), getattr(backend, "identity", "")], sort_keys=True)


def part_name(chunk: Sequence[ImageEntry], root: Path, key: str) -> str:
    """Name of the part of these images: a hash of the key and of the files' names, sizes and times."""
    files = []
    for entry in chunk:
        try:
            stat = os.stat(root / entry.file_name)
            files.append([entry.file_name, stat.st_size, stat.st_mtime_ns])
        except OSError:
            files.append([entry.file_name, -1, -1])
    return hashlib.sha256(json.dumps([key, files]).encode()).hexdigest()[:24] + ".part"


def write_part(path: Path, rows: Sequence[ImageProposals]) -> None:
    """Write the results of a chunk: readers see no file or the whole one."""
    arrays = {
        "sizes": np.array([(row.width, row.height) for row in rows], np.int32),
        "counts": np.array([len(row.boxes) for row in rows], np.int64),
        "boxes": np.concatenate([row.boxes for row in rows]),
        "stamps": np.array([row.stamp for row in rows], np.uint64),
        "said": np.frombuffer(json.dumps([[row.skipped, row.note] for row in rows]).encode(), np.uint8),
    }
    for name in OPTIONAL:
        if columns := [_column(row, name) for row in rows if getattr(row, name) is not None]:
            arrays[name] = np.concatenate(columns)
            arrays[f"{name}_of"] = np.array([getattr(row, name) is not None for row in rows])
    write_sealed(path, arrays)


def read_part(path: Path) -> list[ImageProposals] | None:
    """The results in a part file; None where it is damaged."""
    part = read_sealed(path)
    if part is None:
        return None
    said = json.loads(part["said"].tobytes())
    ends = np.cumsum(part["counts"])[:-1]
    boxes = np.split(part["boxes"], ends)
    scores, levels, clusters = (_spread(part, name) for name in OPTIONAL)
    sizes, stamps = part["sizes"].tolist(), part["stamps"].tolist()
    return [
        ImageProposals(w, h, box, score, level, cluster, reason, stamp, note)
        for (w, h), stamp, (reason, note), box, score, level, cluster in zip(
            sizes, stamps, said, boxes, scores, levels, clusters, strict=True
        )
    ]


def _column(row: ImageProposals, name: str) -> np.ndarray:
    return np.asarray(getattr(row, name))


def _spread(part: dict[str, np.ndarray], name: str) -> list[np.ndarray | None]:
    """The values of an optional column for each image of a part."""
    if name not in part:
        return [None] * len(part["counts"])
    has = part[f"{name}_of"]
    pieces = iter(np.split(part[name], np.cumsum(part["counts"][has])[:-1]))
    return [next(pieces) if one else None for one in has]
