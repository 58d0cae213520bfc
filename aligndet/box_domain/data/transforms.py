"""Transforms that carry a proposal's number through any mmdet pipeline, and pack a view."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform, RandomChoice
from mmdet.datasets.transforms import PackDetInputs
from mmdet.structures.bbox import get_box_tensor
from mmengine.structures import InstanceData

from aligndet.box_domain.slots import IMAGE_STRIDE
from aligndet.common.errors import InputError
from aligndet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SampleProposals(BaseTransform):
    """Keep at most ``num`` proposals of an image, drawn anew at random each time.

    The published code keeps the first ``num`` in file order, which favours small regions where selective
    search wrote them first. Where a file is ordered best first (as ``aligndet proposals make`` orders a
    backend that scores its boxes), ``among`` keeps to the better ones.

    Args:
        num: proposals to keep.
        among: draw from this many first proposals of the image, or from all where None.

    Raises:
        InputError: ``num`` is below 1 or above ``among``.
    """

    def __init__(self, num: int, among: int | None = None) -> None:
        if num < 1 or (among is not None and among < num):
            raise InputError(f"SampleProposals: expected 1 <= num <= among, got num={num}, among={among}")
        self.num, self.among = num, among

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Subset ``gt_bboxes``, ``gt_bboxes_labels`` and ``gt_ignore_flags``, in file order."""
        count = min(len(results["gt_bboxes"]), self.among or len(results["gt_bboxes"]))
        keep = np.sort(np.random.permutation(count)[: self.num])
        for key in ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags"):
            results[key] = results[key][keep]
        return results


@TRANSFORMS.register_module()
class NumberProposals(BaseTransform):
    """Give every proposal its number within the image, before the views part.

    The number rides in the label, which every mmdet transform keeps beside its box:
    ``gt_bboxes_labels = number + IMAGE_STRIDE * cluster``. :class:`PackView` takes it apart again.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Rewrite ``gt_bboxes_labels``."""
        clusters = np.asarray(results["gt_bboxes_labels"], dtype=np.int64)
        results["gt_bboxes_labels"] = np.arange(len(clusters)) + IMAGE_STRIDE * clusters
        return results


@TRANSFORMS.register_module()
class PackView(PackDetInputs):
    """Pack one view, whose ``gt_instances`` get ``bboxes``, ``labels`` (clusters) and ``instance_ids``.

    Boxes without an area, or with corners that are not finite, are dropped: no head can learn from one, and
    the logarithm of a side of 0 makes RetinaNet's loss infinite.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack as PackDetInputs and take number and cluster apart."""
        packed = super().transform(results)
        sample = packed["data_samples"]
        sample.gt_instances = instances = with_area(sample.gt_instances)
        instances.instance_ids = instances.labels % IMAGE_STRIDE
        instances.labels = instances.labels // IMAGE_STRIDE
        return packed


def with_area(instances: InstanceData) -> InstanceData:
    """Keep the instances whose box, ``(P, 4)`` xyxy, is finite and has an area."""
    boxes = get_box_tensor(instances.bboxes)
    sound = boxes.isfinite().all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1)
    return instances if bool(sound.all()) else instances[sound]


@TRANSFORMS.register_module()
class ColourOfFloats(RandomChoice):
    """One of several colour operations, which are made for bytes, on images whose loader gives floats.

    ``img (H, W, 3)``, values between 0 and 255; it is a float image again behind the operation. Arguments as
    mmcv's RandomChoice.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Draw an operation and apply it."""
        kind = results["img"].dtype
        results["img"] = np.clip(np.rint(results["img"]), 0, 255).astype(np.uint8)
        results = super().transform(results)
        results["img"] = results["img"].astype(kind)
        return results
