"""COCO json: this project's, the official AlignDet files (``filtered_proposals``), and labelled sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.image_table import ImageTable
from aligndet.common.labels.file import LabelFile
from aligndet.common.labels.reader import read_labels
from aligndet.proposals.formats.columns import gather
from aligndet.proposals.store import ProposalStore


def read_coco(path: Path) -> ProposalStore:
    """Boxes of a COCO json; memory and time grow with the numbers in it, not with its text.

    Crowd and ``ignore`` boxes, and those without a pixel in the image, are left out. A box's ``score`` is
    kept where the file has it; with more than one category, the place of a box's category is its cluster.

    Raises:
        InputError: no COCO json, or an annotation of an image that is not listed.
    """
    return as_proposals(read_labels(path, proposals=True))


def as_proposals(labels: LabelFile) -> ProposalStore:
    """Labels as proposals; crowds, and boxes without a pixel in the image, are left out."""
    images = ImageTable()
    for name, number, size in zip(
        labels.names, labels.image_ids.tolist(), labels.sizes.tolist(), strict=True
    ):
        images.add(name, number, *size)
    info = labels.head.get("info")
    info = dict(info) if isinstance(info, dict) else {}
    skipped = info.pop("skipped", [])
    clusters = None
    if len(labels.classes) > 1:
        clusters = labels.labels.astype(np.int64)
        names = list(labels.classes)
        info = {**info, "clusters": {**_clusters(info), "clusters": len(names), "names": names}}
    real = ~labels.crowd
    return gather(
        images,
        labels.rows[real],
        labels.xyxy[real].astype(np.float32),
        labels.scores[real],
        clusters if clusters is None else clusters[real],
        info,
        skipped if isinstance(skipped, list) else [],
    )


def _clusters(info: dict[str, Any]) -> dict[str, Any]:
    clusters = info.get("clusters")
    return clusters if isinstance(clusters, dict) else {}
