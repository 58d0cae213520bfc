"""Box augmentation of InsLoc (arXiv 2102.08318, section 3.3): a nearby anchor stands for the true box."""

from __future__ import annotations

import torch
from mmdet.registry import TASK_UTILS
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor

from aligndet.common.errors import InputError

Grid = tuple[int, int]


class BoxAugmentation:
    """Replace each image's box by an anchor that overlaps it.

    Of all anchors of the grid, those with an IoU above ``iou_thr`` are candidates. Greedy suppression at
    ``nms_thr``, in random order, thins them out; one of the rest is drawn uniformly. A box without a
    candidate stays as it is (the published code would draw from its 4,000 nearest anchors, which is nearly
    any box).

    The anchors never change, so which of them suppress each other is looked up, not computed: a table of A
    x A bytes (26 MB for the paper's 5,120 anchors), made once per grid and device.

    Args:
        anchor_generator: config of an mmdet AnchorGenerator with one stride. The paper has stride 16, scales
            2, 4, 8, 16 and ratios .5, .75, 1, 1.5, 2.
        iou_thr: least overlap with the true box, excluded.
        nms_thr: largest overlap between two survivors, included.

    Raises:
        InputError: the generator has more than one stride.
    """

    def __init__(self, anchor_generator: dict, iou_thr: float = 0.5, nms_thr: float = 0.7) -> None:
        self.generator = TASK_UTILS.build(anchor_generator)
        if self.generator.num_levels != 1:
            raise InputError(
                f"BoxAugmentation: expected an anchor_generator with one stride, got {self.generator.strides}"
            )
        self.iou_thr, self.nms_thr = iou_thr, nms_thr
        self._tables: dict[tuple[Grid, torch.device], tuple[Tensor, Tensor]] = {}

    def __call__(self, boxes: Tensor, image_size: tuple[int, int]) -> Tensor:
        """Draw one box per image.

        Args:
            boxes: (B, 4) xyxy, one per image.
            image_size: height and width in pixels.

        Returns:
            (B, 4) xyxy; anchors are not clipped to the image.
        """
        anchors, suppress = self.tables(image_size, boxes.device)
        index, valid = self.candidates(boxes, anchors)
        keep = survivors(index, valid, suppress)
        draw = torch.rand(keep.shape, device=keep.device).masked_fill(~keep, -1).argmax(dim=1)
        drawn = anchors[index.gather(1, draw[:, None])[:, 0]].to(boxes.dtype)
        return torch.where(keep.any(dim=1, keepdim=True), drawn, boxes)

    def tables(self, image_size: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
        """(A, 4) anchors of an image and (A, A) whether their IoU is above ``nms_thr``."""
        width, height = self.generator.strides[0]
        grid = (-(-image_size[0] // height), -(-image_size[1] // width))
        if (grid, device) not in self._tables:
            anchors = self.generator.grid_priors([grid], device=device)[0]
            self._tables[grid, device] = anchors, bbox_overlaps(anchors, anchors) > self.nms_thr
        return self._tables[grid, device]

    def candidates(self, boxes: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
        """Anchors that overlap each box, in random order.

        Returns:
            (B, M) indices, M the most of any image, and (B, M) whether an index is a candidate or filling.
        """
        image, anchor = (bbox_overlaps(boxes.float(), anchors) > self.iou_thr).nonzero(as_tuple=True)
        counts = image.bincount(minlength=len(boxes))
        order = (image + torch.rand(len(image), dtype=torch.float64, device=image.device)).argsort()
        place = torch.arange(len(image), device=image.device) - (counts.cumsum(0) - counts)[image]
        index = image.new_zeros(len(boxes), max(1, int(counts.max())))
        index[image, place] = anchor[order]
        return index, torch.arange(index.shape[1], device=image.device) < counts[:, None]


def survivors(index: Tensor, valid: Tensor, suppress: Tensor) -> Tensor:
    """Greedy non-maximum suppression of all images side by side.

    Each round takes the first candidate left in every image and removes what it suppresses: as many rounds as
    the image with most survivors has survivors (about twenty), whatever the number of images.

    Args:
        index: (B, M) anchors in order of preference.
        valid: (B, M) bool, False for filling.
        suppress: (A, A) bool, whether two anchors are too near; every anchor suppresses itself.

    Returns:
        (B, M) bool.
    """
    left, keep = valid.clone(), torch.zeros_like(valid)
    while left.any():
        first = left.float().argmax(
            dim=1, keepdim=True
        )  # 0 where none is left: valid or not, it stays as it is
        keep.scatter_(1, first, keep.gather(1, first) | left.gather(1, first))
        left &= ~suppress[index.gather(1, first), index]
    return keep
