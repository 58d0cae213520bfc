"""Boxes that were made elsewhere: by SAM, EdgeBoxes, another detector, SoCo or the official AlignDet."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.notices import warn
from aligndet.proposals.backends.registry import Backend, MisfitError, Raw
from aligndet.proposals.formats import read_proposals
from aligndet.proposals.names import find_row, rows_of
from aligndet.proposals.store import ProposalStore

#: Boxes of unknown scale do not belong to an image where more of them than this reach out of it ...
MOST_OUTSIDE = 0.01
#: ... by more than this share of its side, or two pixels.
FAR = 0.02


def file_backend(path: str = "", order: str = "") -> Backend:
    """Proposals of a file, found by the image's name; see :func:`aligndet.proposals.names.find_row`.

    Where the file says for which size its boxes are, and the image on disk has another of the same shape,
    they are brought to the image's size, which is noted. An image of another shape is refused.

    A json or pickle is read into memory by every worker process; convert a large one to a store first
    (``aligndet proposals convert``), which all processes share.

    Args:
        path: a proposal store, COCO json (also the official AlignDet `filtered_proposals`), SoCo json, or
            proposal pickle of mmdet or detectron2.
        order: COCO json whose images a list without names follows; nothing else needs it.

    Raises:
        InputError: no such file, or none of these kinds.
    """
    if not path:
        raise InputError("backend file: say which, with --backend-options path=FILE")
    if not Path(path).exists():
        raise InputError(f"backend file: there is no {path}")
    stat = Path(path).stat()
    store = _read(path, order, stat.st_mtime_ns)

    def search(image: np.ndarray, name: str) -> Raw:
        row = find_row(store, name)
        if row < 0:
            raise MisfitError(
                f"{path} has no boxes for {name}; it names its images like {store.file_name(0)}"
            )
        boxes, note = fitted(store.boxes(row), store.size(row), (image.shape[1], image.shape[0]))
        scores, levels, clusters = (store.column(name, row) for name in ("scores", "levels", "clusters"))
        return Raw(boxes, scores, levels, clusters, note)

    search.takes_name = search.whole_size = True  # type: ignore[attr-defined]
    search.check_names = partial(_check_names, store, path)  # type: ignore[attr-defined]
    search.identity = f"{stat.st_size} {stat.st_mtime_ns}"  # type: ignore[attr-defined]
    return search


def _check_names(store: ProposalStore, path: str, names: Iterable[str]) -> None:
    """Refuse two images of one name, and tell which images of the file are not asked for."""
    gone = np.setdiff1d(np.arange(len(store)), rows_of(store, names, path))
    if len(gone):
        name = store.file_name(int(gone[0]))
        warn(f"{path}: {len(gone)} of its {len(store)} images are not there, such as {name}; left out")


@lru_cache(maxsize=1)
def _read(path: str, order: str, time: int) -> ProposalStore:
    """Once per process and version of the file, not once per chunk of images."""
    return read_proposals(path, order or None)


def fitted(boxes: np.ndarray, of: tuple[int, int], image: tuple[int, int]) -> tuple[np.ndarray, str]:
    """Bring boxes from the size that they were made for to that of the image.

    Args:
        boxes: (n, 4) xyxy in pixels.
        of: width and height that they were made for; -1 where that is not known.
        image: width and height of the image on disk.

    Returns:
        The boxes, and a note where they changed.

    Raises:
        MisfitError: the shapes differ, or boxes of unknown size reach out of the image.
    """
    if of == image:
        return boxes, ""
    (width, height), (real_width, real_height) = of, image
    sizes = f"{width}x{height} px, the image is {real_width}x{real_height}"
    if min(of) <= 0:
        _refuse_far(boxes, real_width, real_height)
        return boxes, ""
    across, down = real_width / width, real_height / height
    same_shape = abs(width * down - real_width) <= max(1, down) or abs(height * across - real_height) <= max(
        1, across
    )
    if not same_shape:
        turned = " (turned by its EXIF tag)" if of == (real_height, real_width) else ""
        raise MisfitError(f"its boxes are for {sizes}{turned}: make them on these images")
    scaled = boxes * np.array([across, down, across, down], np.float32)
    return scaled, f"its boxes are for {sizes}: brought to the image's size"


def _refuse_far(boxes: np.ndarray, width: int, height: int) -> None:
    slack = np.maximum(FAR * np.array([width, height]), 2)
    far = (boxes[:, 2:] > np.array([width, height]) + slack).any(axis=1)
    if far.sum() > MOST_OUTSIDE * len(boxes):
        raise MisfitError(
            f"{far.sum()} of its {len(boxes)} boxes reach out of the image, which is {width}x{height} px: "
            "they were made for an image of another size"
        )
