"""What is wrong with boxes: sides, flags, areas, the unit they are in, and where they lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from aligndet.common.labels.ids import Key
from aligndet.common.labels.report import Notes
from aligndet.common.labels.tables import MISSING, Tables

Array = np.ndarray
#: Pixels that a box may reach over the edge: some tools count the last pixel, some round.
OVER = 1.0
#: The share of boxes over the edge from which on they are of another image, size or layout.
OVER_SHARE = 0.01
#: The share of boxes within the first pixel from which on they are fractions of the image.
FRACTIONS = 0.5


class Boxes:
    """Holds B boxes while they are mended; columns as in :class:`.file.LabelFile`.

    Attributes:
        tables, columns: as read. rows, labels: image and class of each box, -1 where there is none.
    """

    def __init__(self, tables: Tables, rows: dict[Key, int], labels: dict[Any, int], sizes: Array) -> None:
        self.tables, self.columns = tables, (columns := tables.columns())
        self.rows = _looked_up(columns["box_images"], [rows.get(key, -1) for key in tables.images_of])
        known = [labels.get(key, -1) for key in tables.categories_of]
        self.labels = _looked_up(columns["box_categories"], known)
        self.xywh, self.scores = columns["xywh"], columns["scores"]
        self.areas, self.ids, self.places = columns["areas"], columns["box_ids"], columns["box_places"]
        self.flags, self.ignored = columns["crowd"], columns["ignore"]
        self._sizes = sizes

    @property
    def crowd(self) -> Array:
        """(B,) bool, those marked "ignore" too."""
        return (self.flags == 1) | (self.ignored == 1)

    def sizes(self) -> Array:
        """(B, 2) width and height of each box's image; inf where nobody knows."""
        sizes = self._sizes[self.rows].astype(np.float64)
        sizes[sizes[:, 0] <= 0] = np.inf
        return sizes

    def keep(self, mask: Array) -> None:
        """Drop the boxes outside a mask (B,)."""
        if mask.all():
            return
        for name in ("rows", "labels", "xywh", "scores", "areas", "ids", "places", "flags", "ignored"):
            setattr(self, name, getattr(self, name)[mask])

    def at(self, mask: Array) -> str:
        """Name the first box of a mask (B,); empty where it holds none."""
        found = np.flatnonzero(mask)
        if not len(found):
            return ""
        number = 0 if self.tables.files else int(self.ids[found[0]])
        return self.tables.where(int(self.places[found[0]])) + (f" (id {number})" if number else "")

    def show(self, mask: Array) -> str:
        """The first box of a mask, as text."""
        return "[" + ", ".join(f"{side:.6g}" for side in self.xywh[np.flatnonzero(mask)[0]]) + "]"


def _looked_up(numbers: Array, values: list[int]) -> Array:
    return np.array([*values, -1], np.int32)[numbers]


def mend_boxes(boxes: Boxes, notes: Notes, proposals: bool = False) -> Boxes:
    """Leave out what is no box, refuse what is in another unit or place, mend flags and areas.

    Boxes of a search (``proposals``) may lie anywhere: only their unit is looked at.
    """
    _refuse_fractions(boxes, notes)
    if proposals:
        return boxes
    endless: Array = ~np.isfinite(boxes.xywh).all(axis=1)
    notes.left_out("boxes with a side that is no number", boxes.at(endless), int(endless.sum()))
    boxes.keep(~endless)
    flat = np.any(boxes.xywh[:, 2:] <= 0, axis=1)
    notes.left_out("boxes without width or height", boxes.at(flat), int(flat.sum()))
    boxes.keep(~flat)
    _edges(boxes, notes)
    _flags(boxes, notes)
    _areas(boxes, notes)
    _repeated(boxes, notes)
    return boxes


def _refuse_fractions(boxes: Boxes, notes: Notes) -> None:
    far = boxes.xywh[:, :2] + boxes.xywh[:, 2:]
    inside = (boxes.xywh >= 0).all(axis=1) & (far <= 1 + 1e-3).all(axis=1) & (far > 0).all(axis=1)
    inside &= (boxes.sizes() > 2).all(axis=1)
    if len(inside) and inside.mean() >= FRACTIONS:
        notes.refuse(
            f"has 'bbox' {boxes.show(inside)} in fractions of the image (normalised); expected pixels",
            boxes.at(inside),
            int(inside.sum()),
            "--boxes fractions",
        )


def over_edge(corners: Array, sizes: Array) -> Array:
    """Mark ``(B,)`` the boxes xyxy ``(B, 4)`` that reach too far out of images of ``sizes (B, 2)``.

    A size that is not known (nan, inf) has no edge on the far sides.
    """
    near, far = corners[:, :2] < -OVER, corners[:, 2:] > sizes + OVER
    sides: Array = np.concatenate([near, far], axis=1)
    return np.asarray(sides.any(axis=1))


def _edges(boxes: Boxes, notes: Notes) -> None:
    """Cut the few boxes that reach over the edge of their image; refuse many."""
    sizes = boxes.sizes()
    corners = np.concatenate([boxes.xywh[:, :2], boxes.xywh[:, :2] + boxes.xywh[:, 2:]], axis=1)
    over = over_edge(corners, sizes)
    if not over.any():
        return
    if over.mean() > OVER_SHARE:
        first = sizes[np.flatnonzero(over)[0]]
        hint = "[x1, y1, x2, y2]" if _are_corners(boxes.xywh, sizes) else "boxes of another size"
        notes.refuse(
            f"has 'bbox' {boxes.show(over)}, which reaches over its image of {first[0]:.0f}x{first[1]:.0f}, "
            f"as do {100 * over.mean():.0f} % of the boxes; expected [x, y, width, height] in its pixels; "
            f"are these {hint}?",
            boxes.at(over),
            int(over.sum()),
            "--boxes corners" if "x1" in hint else "",
        )
        return
    low = np.clip(corners[:, :2], 0, sizes)
    high = np.clip(corners[:, 2:], 0, sizes)
    outside = over & ((high - low) <= 0).any(axis=1)
    cut = over & ~outside
    notes.mended("boxes over the edge of their image, cut there", boxes.at(cut), int(cut.sum()))
    xywh = boxes.xywh.copy()
    xywh[cut] = np.concatenate([low, high - low], axis=1)[cut]
    boxes.areas = np.where(cut, xywh[:, 2] * xywh[:, 3], boxes.areas)
    boxes.xywh = xywh
    notes.left_out("boxes outside of their image", boxes.at(outside), int(outside.sum()))
    boxes.keep(~outside)


def _are_corners(xywh: Array, sizes: Array) -> bool:
    fits = (xywh[:, 2:] > xywh[:, :2]).all(axis=1) & (xywh[:, 2:] <= sizes + OVER).all(axis=1)
    return bool(fits.mean() > 1 - OVER_SHARE)


def _flags(boxes: Boxes, notes: Notes) -> None:
    missing = boxes.flags == MISSING
    notes.mended("'iscrowd' that is missing, taken as 0", boxes.at(missing), int(missing.sum()))
    ignored = (boxes.ignored == 1) & (boxes.flags != 1)
    notes.mended(
        "boxes marked 'ignore', taken as crowds (neither learnt nor scored)",
        boxes.at(ignored),
        int(ignored.sum()),
    )


def _areas(boxes: Boxes, notes: Notes) -> None:
    """Mend areas that mmdet would drop a box for."""
    missing, wrong = np.isnan(boxes.areas), ~(boxes.areas > 0) | np.isinf(boxes.areas)
    wrong &= ~missing
    notes.mended("'area' that is missing, taken as width x height", boxes.at(missing), int(missing.sum()))
    what = "'area' that is 0 or below, taken as width x height (mmdet drops such a box)"
    notes.mended(what, boxes.at(wrong), int(wrong.sum()))
    boxes.areas = np.where(missing | wrong, boxes.xywh[:, 2] * boxes.xywh[:, 3], boxes.areas)


def _repeated(boxes: Boxes, notes: Notes) -> None:
    """Drop annotations that stand twice: one id, image, class and box."""
    order = np.argsort(boxes.ids, kind="stable")
    ids = boxes.ids[order]
    same = np.flatnonzero((ids[1:] == ids[:-1]) & (ids[1:] != 0))
    repeated = np.zeros(len(ids), bool)
    seen: set[tuple[float, ...]] = set()
    for place in np.union1d(same, same + 1).tolist():
        box = int(order[place])
        entry = (ids[place], boxes.rows[box], boxes.labels[box], *boxes.xywh[box].tolist())
        repeated[box] = entry in seen
        seen.add(entry)
    notes.left_out("annotations that stand twice", boxes.at(repeated), int(repeated.sum()))
    boxes.keep(~repeated)
