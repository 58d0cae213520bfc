"""From any kind of proposal file to a store or COCO json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.image_table import ImageTable
from aligndet.common.images import list_images
from aligndet.proposals.coco import write_coco
from aligndet.proposals.formats import read_proposals
from aligndet.proposals.names import rows_of
from aligndet.proposals.options import ProposalOptions
from aligndet.proposals.runner import make_proposals
from aligndet.proposals.store import ProposalStore
from aligndet.proposals.store_writer import StoreWriter


def convert(
    sources: Sequence[Path],
    out: Path,
    images: Path | None = None,
    order: Path | None = None,
    workers: int = 0,
) -> str:
    """Write one store (or COCO json, if `out` ends in ".json") of all that the sources hold.

    Args:
        sources: of any kind that :func:`.formats.read_proposals` knows; several are put one after the other.
        out: what to write.
        images: folder of the images. With it, every image is opened, in parallel: sizes that a file does not
            hold are taken from there, boxes made for another size are brought to that of the image, boxes
            are cut at the border, and unreadable images are left out. Only for a single source.
        order: COCO json whose images an mmdet 2.x pickle follows.
        workers: processes that open images; 0 is this one.

    Returns:
        A summary to print.

    Raises:
        InputError: wrong input; sizes missing and no `images`; an image
            in two sources.
    """
    if images is not None:
        if len(sources) != 1:
            raise InputError(
                f"--images goes with one file, got {len(sources)}: convert each, then merge them"
            )
        return _on_images(sources[0], out, images, order, workers)
    stores = [read_proposals(source, order) for source in sources]
    for store, source in zip(stores, sources, strict=True):
        if (store.sizes < 0).any():
            raise InputError(f"{source}: does not say how large its images are; give their folder (--images)")
    if out.suffix == ".json" and len(stores) == 1:
        write_coco(stores[0], out)
        return summary(stores[0], out)
    if out.suffix == ".json":
        raise InputError(f"{out}: merge into a store first (a name without .json), then convert that")
    return summary(merge_stores(stores, out), out)


def _on_images(source: Path, out: Path, images: Path, order: Path | None, workers: int) -> str:
    """Convert one file with its images at hand; see :func:`convert`."""
    store, (listed, root) = read_proposals(source, order), list_images(images)
    rows = rows_of(store, (entry.file_name for entry in listed), source)
    table = ImageTable()
    for entry, row in zip(listed, rows.tolist(), strict=True):
        if row >= 0:
            table.add(entry.file_name, int(store.image_ids[row]))
    if not len(table):
        raise InputError(
            f"{source}: none of its {len(store)} images is among the {len(listed)} in {images}, e.g. "
            f"{store.file_name(0)} and {listed[0].file_name}"
            if len(store)
            else f"{source}: no image in it"
        )
    other = len(listed) - len(table)
    given = {"path": str(source.absolute()), "order": str(order.absolute()) if order else ""}
    options = ProposalOptions("file", given, filter=None)
    kept = {key: store.info[key] for key in ("clusters",) if key in store.info}
    report = make_proposals((table, root), out, options, workers=workers, info=kept)
    lines = [str(report)]
    if other:
        lines.append(f"{other} images in {images} are not in {source}")
    return "\n".join(lines)


def summary(store: ProposalStore, out: Path) -> str:
    """One line on what was written, and one on boxes that were none."""
    text = f"{out}: {store.num_boxes} proposals in {len(store)} images"
    if store.num_clusters:
        text += f", {store.num_clusters} classes"
    if lost := store.info.get("boxes_left_out"):
        text += f"\n{lost} boxes left out: under a pixel, outside their image, or not a number"
    return text


def merge_stores(
    stores: Sequence[ProposalStore], out: Path, info: dict[str, Any] | None = None
) -> ProposalStore:
    """One store of all images, in the order given; ids are numbered anew where they clash.

    Args:
        stores: what to merge.
        out: the folder to write.
        info: of the new store; default: that of the first.

    Raises:
        InputError: nothing to merge, or two stores hold an image of the same name.
    """
    if not stores:
        raise InputError("nothing to merge: no store given")
    _refuse_equal_names(stores)
    every = np.concatenate([store.image_ids for store in stores])
    clash, first = len(np.unique(every)) != len(every), 1
    with StoreWriter(out, info or stores[0].info) as writer:
        for store in stores:
            writer.extend(store, first if clash else None)
            first += len(store)
    return ProposalStore.open(out)


def _refuse_equal_names(stores: Sequence[ProposalStore]) -> None:
    """Within a store names may repeat; an image in two stores means that a shard was given twice."""
    hashes = np.concatenate([np.unique(store.columns["name_hashes"]) for store in stores])
    numbers, counts = np.unique(hashes, return_counts=True)
    for number in numbers[counts > 1]:
        seen: dict[str, int] = {}
        for place, store in enumerate(stores):
            rows = store.columns["name_rows"][store.columns["name_hashes"] == number]
            for name in {store.file_name(int(row)) for row in rows}:
                if name in seen:
                    one, two = (stores[i].path or f"file {i + 1}" for i in (seen[name], place))
                    raise InputError(f"image {name} is in {one} and in {two}; merge each part once")
                seen[name] = place
