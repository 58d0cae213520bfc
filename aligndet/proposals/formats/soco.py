"""SoCo's json: ``{image name: [[x, y, w, h], ...]}``, names without folder and ending."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.image_table import ImageTable
from aligndet.common.json_stream import stream_object
from aligndet.proposals.formats.columns import BoxTable, gather
from aligndet.proposals.store import ProposalStore


def read_soco(path: Path) -> ProposalStore:
    """Boxes of a SoCo json, in its order and without scores. It holds no image sizes: they are -1.

    SoCo's rectangles are those of the PyPI package ``selectivesearch``: w and h are the distance to the last
    pixel, so a box's far edge lies one further than x + w; that pixel is added here.

    Raises:
        InputError: an entry is no list of rectangles.
    """
    images, boxes = ImageTable(), BoxTable()
    last = None
    for name, rect in stream_object(path):
        if name != last:
            images.add(name, len(images) + 1)
            last = name
        try:
            x, y, w, h = rect
            boxes.add(len(images) - 1, (x, y, w + 1, h + 1))
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{path}: {name!r} holds {str(rect)[:80]}; expected a list of rectangles [x, y, w, h]"
            ) from error
    rows, corners, scores = boxes.columns()
    return gather(images, rows, corners, np.asarray(scores), None, {"description": "SoCo proposals"})
