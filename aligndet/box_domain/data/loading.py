"""Loading turns the proposals of an image into the boxes that a pipeline works on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import HorizontalBoxes

from aligndet.common.errors import InputError
from aligndet.common.images import UnreadableImageError
from aligndet.proposals.looked_at import misfit
from aligndet.registry import TRANSFORMS


class MisfitError(UnreadableImageError):
    """The image on disk is not the one that proposals were made on."""


class ProposalInstances(Sequence[dict[str, Any]]):
    """Shows the proposals of one image as mmdet's ``instances``, making dictionaries when they are looked at.

    Args:
        boxes: (n, 4) float32 xyxy in pixels, maybe a view into a mapped file.
        clusters: (n,) pseudo-classes, or None where all proposals are of class 0.
    """

    def __init__(self, boxes: np.ndarray, clusters: np.ndarray | None = None) -> None:
        self.boxes, self.clusters = boxes, clusters

    @property
    def labels(self) -> np.ndarray:
        """Pseudo-classes, (n,) int64."""
        if self.clusters is None:
            return np.zeros(len(self.boxes), dtype=np.int64)
        return self.clusters.astype(np.int64)

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        label = 0 if self.clusters is None else int(self.clusters[index])
        return {"bbox": self.boxes[index].tolist(), "bbox_label": label, "ignore_flag": 0}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for box, label in zip(self.boxes.tolist(), self.labels.tolist(), strict=True):
            yield {"bbox": box, "bbox_label": label, "ignore_flag": 0}

    def __deepcopy__(self, memo: dict[int, Any]) -> ProposalInstances:
        return self  # MultiBranch copies every result once per view; the boxes on file do not change


@TRANSFORMS.register_module()
class LoadProposals(BaseTransform):
    """Loads what ``LoadAnnotations(with_bbox=True)`` loads, from a ProposalDataset, with no loop over boxes.

    Sets ``gt_bboxes`` (HorizontalBoxes, xyxy in pixels), ``gt_bboxes_labels`` (n,) int64 and
    ``gt_ignore_flags`` (n,) bool, all False.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Copy the proposals out of the file.

        Raises:
            InputError: the data set is no ProposalDataset.
            MisfitError: the image that was loaded is not of the size that its proposals are for.
        """
        instances = results["instances"]
        if not isinstance(instances, ProposalInstances):
            raise InputError(
                "LoadProposals reads the samples of aligndet.ProposalDataset; for another data set put "
                "dict(type='LoadAnnotations', with_bbox=True) into the pipeline instead"
            )
        _refuse_other_size(results)
        results["gt_bboxes"] = HorizontalBoxes(torch.from_numpy(np.array(instances.boxes, dtype=np.float32)))
        results["gt_bboxes_labels"] = instances.labels
        results["gt_ignore_flags"] = np.zeros(len(instances), dtype=bool)
        return results


def _refuse_other_size(results: dict[str, Any]) -> None:
    loaded, width, height = results.get("ori_shape"), results.get("width"), results.get("height")
    if loaded is not None and width and height and tuple(loaded[:2]) != (height, width):
        raise MisfitError(misfit(str(results.get("img_path")), (loaded[1], loaded[0]), (width, height)))
