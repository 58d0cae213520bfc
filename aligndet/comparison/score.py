"""Predict with a trained detector and score the boxes as COCO does, unrounded."""

import contextlib
import io
from pathlib import Path
from typing import Any

import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def coco_results(model: Any, dataloader: Any) -> list[dict[str, Any]]:
    """COCO result entries (``bbox`` xywh in pixels of the original image) for all images of a data loader.

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
                found = sample.pred_instances
                sizes = found.bboxes.clone()
                sizes[:, 2:] -= sizes[:, :2]
                for box, score, label in zip(
                    sizes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True
                ):
                    entry = {"image_id": sample.img_id, "bbox": box, "score": score}
                    results.append({**entry, "category_id": category_ids[label]})
    return results


def coco_box_ap(annotations: Path, results: list[dict[str, Any]]) -> dict[str, float]:
    """Score COCO-format box results (xywh) against ``annotations``.

    Returns:
        ``AP`` over IoU .50:.95 and ``AP50``, both 0..1, not rounded (mmdet's metric keeps 3 digits). No
        detections at all, or no boxes to find, is 0.
    """
    if not results:
        return {"AP": 0.0, "AP50": 0.0}
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        measure = COCOeval(truth, truth.loadRes(results), "bbox")
        measure.evaluate()
        measure.accumulate()
        measure.summarize()
    return {"AP": max(0.0, float(measure.stats[0])), "AP50": max(0.0, float(measure.stats[1]))}
