"""From entries as they stand in a file to labels: what has one meaning is mended, what has two is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from aligndet.common.labels.boxes import Boxes, mend_boxes
from aligndet.common.labels.classes import mend_classes
from aligndet.common.labels.file import LabelFile
from aligndet.common.labels.ids import numbered, repaired
from aligndet.common.labels.images import Images, mend_images
from aligndet.common.labels.report import LabelReport, Notes
from aligndet.common.labels.tables import Tables

#: The share of boxes without an image from which on the two lists do not belong together.
STRAY = 0.5


def mend(
    path: Path,
    kind: str,
    tables: Tables,
    exists: Callable[[str], bool] | None = None,
    proposals: bool = False,
) -> LabelFile:
    """Make labels of what a file says.

    Args:
        path: the file. kind: of labels, for people.
        tables: its entries.
        exists: whether an image of that name is there; None where nobody knows the folder.
        proposals: boxes are those of a search: they may repeat, have no class and reach over the edge.

    Returns:
        Labels whose report may hold refusals.
    """
    notes = tables.notes
    images = mend_images(tables, notes, exists)
    image_ids, anew = numbered(images.keys)
    notes.mended("image ids that are text or beyond 63 bits, numbered", count=anew)
    classes, category_ids, class_of = mend_classes(tables, notes, proposals)
    boxes = Boxes(tables, images.rows, class_of, images.sizes)
    _strays(boxes, tables, notes, proposals)
    boxes = mend_boxes(boxes, notes, proposals)
    ids, wrong = repaired(boxes.ids)
    if not proposals:
        notes.mended(
            "annotation ids that are missing, 0 or below, or not unique, numbered anew (pycocotools takes a "
            "match with annotation 0 for a miss)",
            boxes.at(wrong),
            int(wrong.sum()),
        )
    report = _report(path, kind, images, boxes, classes)
    report.notes = list(notes)
    return LabelFile(
        path=path,
        kind=kind,
        names=images.names,
        image_ids=np.array(image_ids, np.int64),
        sizes=images.sizes,
        xywh=boxes.xywh,
        rows=boxes.rows,
        labels=boxes.labels,
        crowd=boxes.crowd,
        areas=boxes.areas,
        scores=boxes.scores,
        box_ids=ids,
        classes=classes,
        category_ids=category_ids,
        image_places=images.places,
        box_places=boxes.places,
        report=report,
        head=tables.head,
        folder=tables.folder,
    )


def _strays(boxes: Boxes, tables: Tables, notes: Notes, proposals: bool) -> None:
    """Boxes of images that are not there, and of classes that are not there."""
    stray = boxes.rows < 0
    if stray.any():
        key = list(tables.images_of)[int(boxes.columns["box_images"][np.flatnonzero(stray)[0]])]
        if proposals or stray.mean() > STRAY:
            what = f"names image {repr(key)[:80]}, which is not in 'images'; expected both lists of one file"
            notes.refuse(what, boxes.at(stray), int(stray.sum()))
        else:
            what = f"boxes of an 'image_id' that is not in 'images', such as {repr(key)[:80]}"
            notes.left_out(what, boxes.at(stray), int(stray.sum()))
    unknown = (boxes.labels < 0) & ~stray
    if unknown.any():
        first = int(np.flatnonzero(unknown)[0])
        category = list(tables.categories_of)[boxes.columns["box_categories"][first]]
        known = ", ".join(str(key)[:40] for key, _ in tables.categories[:8])
        what = f"has 'category_id' {repr(category)[:80]}, which is not in 'categories' ({known})"
        if category is None:
            what = "has no 'category_id'; expected one, for there are several classes"
        notes.refuse(what, boxes.at(unknown), int(unknown.sum()))
    boxes.keep(~stray & (boxes.labels >= 0))


def _report(path: Path, kind: str, images: Images, boxes: Boxes, classes: tuple[str, ...]) -> LabelReport:
    real = ~boxes.crowd
    counts = Counter(boxes.labels[real].tolist())
    used = len(np.unique(boxes.rows[real]))
    return LabelReport(
        path,
        kind,
        images=len(images.names),
        boxes=int(real.sum()),
        crowds=int(boxes.crowd.sum()),
        empty_images=len(images.names) - used,
        classes={name: counts[place] for place, name in enumerate(classes)},
    )
