"""Suppression of overlapping boxes. Boxes are xyxy in pixels, shape (N, 4); scores have shape (N,)."""

import torch
import torchvision
from torch import Tensor

from aligndet.ops.replay import full

NAIVE, LINEAR, GAUSSIAN = 0, 1, 2


def nms(bboxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Indices of the boxes kept by greedy suppression, best score first.

    Args:
        bboxes: (N, 4), xyxy.
        scores: (N,).
        iou_threshold: a box is dropped when its IoU with a kept, better one is larger than this.
        offset: 1 if a box of one pixel has ``x2 == x1``, 0 otherwise.

    Returns:
        (K,) int64.
    """
    grown = full(bboxes) + full(bboxes).new_tensor([0, 0, offset, offset])
    return torchvision.ops.nms(grown, full(scores), iou_threshold)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft suppression: overlapping boxes lose score instead of being dropped at once.

    Args:
        boxes: (N, 4), xyxy.
        scores: (N,).
        dets: (N, 5), written: box and lowered score of the kept boxes, in the order they were taken.
        iou_threshold: IoU from which methods 0 (drop) and 1 (score x (1 - IoU)) act.
        sigma: width of method 2 (score x exp(-IoU^2 / sigma)).
        min_score: boxes whose lowered score is below this are dropped.
        method: 0 naive, 1 linear, 2 gaussian.
        offset: as in :func:`nms`.

    Returns:
        (K,) int64, indices of the kept boxes.
    """
    left = torch.arange(len(boxes), device=boxes.device)
    scores = scores.clone()
    kept: list[Tensor] = []
    while len(left):
        best = scores[left].argmax()
        index = left[best]
        dets[len(kept), :4], dets[len(kept), 4] = boxes[index], scores[index]
        kept.append(index)
        left = torch.cat([left[:best], left[best + 1 :]])
        iou = _iou(boxes[index], boxes[left], offset)
        scores[left] *= _decay(iou, iou_threshold, sigma, method)
        left = left[scores[left] >= min_score]
    return torch.stack(kept) if kept else left


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Groups of boxes: every box kept by suppression, followed by those it suppressed.

    Args:
        dets: (N, 5), xyxy and score.
        iou_threshold: IoU from which a box joins the group of a better one.
    """
    order = dets[:, 4].argsort(descending=True, stable=True)
    groups: list[list[int]] = []
    while len(order):
        head, rest = order[0], order[1:]
        joins = _iou(dets[head, :4], dets[rest, :4], 0) >= iou_threshold
        groups.append([int(head), *rest[joins].tolist()])
        order = rest[~joins]
    return groups


def _iou(box: Tensor, others: Tensor, offset: int) -> Tensor:
    """IoU of one box (4,) with (N, 4) others."""
    low = torch.maximum(box[:2], others[:, :2])
    high = torch.minimum(box[2:], others[:, 2:])
    inter = (high - low + offset).clamp(min=0).prod(-1)
    areas = (others[:, 2:] - others[:, :2] + offset).prod(-1)
    return inter / ((box[2:] - box[:2] + offset).prod() + areas - inter)


def _decay(iou: Tensor, iou_threshold: float, sigma: float, method: int) -> Tensor:
    """Factor (N,) by which the scores of boxes with overlap ``iou`` shrink."""
    if method == GAUSSIAN:
        return torch.exp(-(iou**2) / sigma)
    strong = 1 - iou if method == LINEAR else torch.zeros_like(iou)
    return torch.where(iou >= iou_threshold, strong, torch.ones_like(iou))
