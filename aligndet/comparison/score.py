"""Predict with a trained detector and score the boxes as COCO does, unrounded."""

import contextlib
import io
from pathlib import Path
from typing import Any

import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from aligndet.common.labels.reader import read_labels
from aligndet.comparison import metrics


def coco_results(model: Any, dataloader: Any) -> list[dict[str, Any]]:
    """Predict all images of a data loader: COCO entries, ``bbox`` xywh in pixels of the original image.

    Args:
        model: an mmdet detector with its data preprocessor.
        dataloader: over a ``CocoDataset``, in test mode.
    """
    results = []
    category_ids = dataloader.dataset.cat_ids
    model.eval()
    with torch.no_grad():
        for batch in dataloader:
            for sample in model.test_step(batch):
                predicted = sample.pred_instances
                boxes = predicted.bboxes.clone()
                boxes[:, 2:] -= boxes[:, :2]
                for box, score, label in zip(
                    boxes.tolist(), predicted.scores.tolist(), predicted.labels.tolist(), strict=True
                ):
                    entry = {"image_id": sample.img_id, "bbox": box, "score": score}
                    results.append({**entry, "category_id": category_ids[label]})
    return results


def coco_scores(annotations: Path, results: list[dict[str, Any]]) -> dict[str, float]:
    """Score COCO-format box results (xywh) against ``annotations``.

    The measure is pycocotools'; the labels are as the reader gives them, so that annotation 0, which
    pycocotools takes for a miss, ids that stand twice and flags that are missing do not change the score.

    Returns:
        Every measure of :data:`.metrics.METRICS` by name, 0..1, not rounded (mmdet's metric keeps 3 digits).
        No detections at all, or no boxes to find, is 0.
    """
    if not results:
        return no_scores()
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = read_labels(annotations).to_coco()
        truth.createIndex()
        measured = COCOeval(truth, truth.loadRes(results), "bbox")
        measured.evaluate()
        measured.accumulate()
        measured.summarize()
    return {metric.name: max(0.0, float(metric.of(measured))) for metric in metrics.METRICS}


def no_scores() -> dict[str, float]:
    """Return the scores of a detector that detects nothing."""
    return dict.fromkeys(metrics.metric_names(), 0.0)
