"""mmdet's proposal pickles: 3.x (``DumpProposals``, by file name) and 2.x (a list in the images' order)."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.image_table import ImageTable
from aligndet.proposals.formats.columns import gather
from aligndet.proposals.store import ProposalStore

_HARMLESS = {
    ("builtins", "set"),
    ("collections", "OrderedDict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("_codecs", "encode"),
}


class _Record:
    """Stands in for mmengine's InstanceData, so that mmengine need not be there."""

    bboxes: Any = None
    scores: Any = None


class _Unpickler(pickle.Unpickler):
    """Builds arrays and :class:`_Record` and nothing else: a pickle from elsewhere cannot run code here."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _HARMLESS:
            return super().find_class(module, name)
        if module.startswith("mmengine.structures") and name == "InstanceData":
            return _Record
        raise pickle.UnpicklingError(
            f"holds a {module}.{name}; expected numpy arrays, alone or in mmengine's InstanceData "
            "(tensors: dump them with .numpy())"
        )


def read_mmdet_pickle(path: Path, names: Sequence[str] | None = None) -> ProposalStore:
    """Boxes of an mmdet proposal file. It holds no image sizes: they are -1.

    Args:
        path: a dictionary ``{"folder/file.jpg": boxes}``, or a list of boxes; boxes are InstanceData or a
            dictionary (``bboxes`` (n, 4) xyxy and ``scores``), or an array (n, 4) or (n, 5) with scores last.
        names: file names in the order of a list; not used for a dictionary.

    Raises:
        InputError: something else, or a list without as many names.
    """
    try:
        with path.open("rb") as stream:
            content = _Unpickler(stream).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError) as error:
        raise InputError(f"{path}: not a proposal file of mmdet: {error}") from error
    if isinstance(content, list):
        if names is None or len(names) != len(content):
            given = "none was given" if names is None else f"{len(names)} images were given"
            raise InputError(
                f"{path}: a list of {len(content)} entries without names; give the COCO json whose images "
                f"they belong to, in the same order ({given})"
            )
        content = dict(zip(names, content, strict=True))
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a dictionary or list of boxes, got {type(content).__name__}")
    images, entries = ImageTable(), []
    for name, value in content.items():
        images.add(str(name), len(images) + 1)
        entries.append(_boxes(value, f"{path}: {name}"))
    rows = np.repeat(np.arange(len(entries)), [len(part) for part in entries])
    every = np.concatenate([*entries, np.zeros((0, 5))])
    info = {"description": "mmdet proposals"}
    return gather(images, rows, every[:, :4].astype(np.float32), every[:, 4].astype(np.float32), None, info)


def _boxes(value: Any, where: str) -> np.ndarray:
    """(n, 5) xyxy and score, nan where there is none."""
    if isinstance(value, dict):
        boxes, scores = value.get("bboxes"), value.get("scores")
    elif isinstance(value, _Record):
        boxes, scores = value.bboxes, value.scores
    else:
        boxes, scores = value, None
    boxes = np.asarray(boxes, dtype=np.float64)
    boxes = boxes.reshape(0, 4) if not boxes.size else boxes
    if boxes.ndim != 2 or boxes.shape[1] not in (4, 5):
        raise InputError(f"{where}: boxes of shape {boxes.shape}; expected (n, 4) or (n, 5)")
    if boxes.shape[1] == 5:
        return boxes
    column = np.full(len(boxes), np.nan) if scores is None else np.asarray(scores, dtype=np.float64)
    return np.concatenate([boxes, column.reshape(len(boxes), 1)], axis=1)
