"""Whether what a run would write is there already."""

from __future__ import annotations

import os
from pathlib import Path

from aligndet.common.errors import InputError
from aligndet.common.image_table import ImageTable
from aligndet.common.images import list_images
from aligndet.proposals.formats import read_proposals
from aligndet.proposals.integrity import DamagedStoreError
from aligndet.proposals.layout import META
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.salvage import SoundImages, other_options
from aligndet.proposals.store import ProposalStore, is_store, verify_store
from aligndet.proposals.store_meta import read_meta
from aligndet.proposals.store_writer import check_out


def finished_store(
    source: Path, out: Path, options: ProposalOptions, image_root: Path | None = None
) -> ProposalStore | None:
    """Open ``out`` where it holds these images' proposals of these options; None where nothing is.

    Args:
        source, out, options, image_root: as :func:`aligndet.proposals.runner.make_proposals` takes them.

    Raises:
        DamagedStoreError: they are there, and damaged; every file was read.
        InputError: something else is there, and what differs.
    """
    if not out.exists():
        return None
    if out.suffix != ".json":
        check_out(out)
    try:
        if is_store(out):
            verify_store(out)
        store = read_proposals(out)
        differs = _differs(store, out, source, options, image_root)
    except DamagedStoreError:
        meta = read_meta(out)
        differs = other_options(meta["info"], options)
        differs = differs or SoundImages(out, meta).other_images(list_images(source, image_root)[0])
        if not differs:
            raise
    if differs:
        raise InputError(
            f"{out}: there already, {differs}; give another name, or --overwrite to make it anew"
        )
    return store


def _differs(
    store: ProposalStore, out: Path, source: Path, options: ProposalOptions, image_root: Path | None
) -> str:
    """What a store has otherwise than a run would make it, in words; empty where nothing."""
    if differs := other_options(store.info, options):
        return differs
    table, root = list_images(source, image_root)
    names = {store.file_name(image) for image in range(len(store))}
    names |= {row["file_name"] for row in store.skipped()}
    asked = {entry.file_name for entry in table} | {row["file_name"] for row in table.skipped}
    if names != asked:
        return f"of other images ({len(asked - names)} new, {len(names - asked)} gone)"
    changed = _changed_since(table, root, out / META if out.is_dir() else out)
    return f"older than {changed} of its images" if changed else ""


def _changed_since(table: ImageTable, root: Path, file: Path) -> int:
    """Count the images that were written after the file."""
    written = file.stat().st_mtime_ns
    return sum(_written(root / entry.file_name) > written for entry in table)


def _written(path: Path) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0  # a link to nowhere is listed, and skipped
