"""Reduce a detector to its box branch: what pre-training on boxes cannot train is left out.

Parts for masks, semantics, points and key points go, and so do teachers of distillation and heads that only
help the one that predicts (Co-DETR). Classes that insist on such a part are replaced by their relative
without it. Every layer that stays keeps its name, so the export finds it in the stock detector, where the
parts left out start as mmdet starts them.
"""

from __future__ import annotations

import inspect
from typing import Any

from mmdet.registry import MODELS
from mmengine.config import ConfigDict

from aligndet.box_domain.adapters.ancestry import ancestry, nearest
from aligndet.box_domain.adapters.distillation import student
from aligndet.box_domain.adapters.heads import PARTS_WITHOUT_BOXES, helper_keys, listed
from aligndet.common.signatures import options_of

#: Config keys of parts of a RoI head that are left out.
_ROI_PARTS = (
    *("mask_head", "mask_roi_extractor", "mask_iou_head", "point_head", "mask_info_flow"),
    *("semantic_head", "semantic_roi_extractor", "semantic_fusion", "glbctx_head", "feat_relay_head"),
    *("keypoint_head", "keypoint_roi_extractor"),
)

#: Class of mmdet -> its relative that needs boxes only.
_RELATIVES = {
    # detectors
    "SingleStageInstanceSegmentor": "SingleStageDetector",
    "PanopticFPN": "MaskRCNN",
    "QueryInst": "SparseRCNN",
    "SCNet": "CascadeRCNN",
    "HybridTaskCascade": "CascadeRCNN",
    # heads of one stage
    "CondInstBboxHead": "FCOSHead",
    "LDHead": "GFLHead",
    "LADHead": "PAAHead",
    # RoI heads
    "MaskScoringRoIHead": "StandardRoIHead",
    "PointRendRoIHead": "StandardRoIHead",
    "PISARoIHead": "StandardRoIHead",
    "HybridTaskCascadeRoIHead": "CascadeRoIHead",
    "SCNetRoIHead": "CascadeRoIHead",
    "SCNetBBoxHead": "ConvFCBBoxHead",
}


def boxes_only(detector: ConfigDict) -> ConfigDict:
    """Return the part of an mmdet model config that boxes can train, and change ``detector`` maybe.

    Raises:
        InputError: it has no head that predicts, or it learns from another detector and is built on no plain
            one.
    """
    detector = student(detector)
    _relative(detector)
    for part in PARTS_WITHOUT_BOXES:
        detector.pop(part, None)
    for head in (*listed(detector.get("bbox_head")), *listed(detector.get("roi_head"))):
        if isinstance(head, dict):
            _relative(head)
    for head in listed(detector.get("roi_head")):
        if isinstance(head, dict):
            _without_masks(head)
    _without_helpers(detector)
    return detector


def _without_masks(roi_head: ConfigDict) -> None:
    for part in _ROI_PARTS:
        roi_head.pop(part, None)
    for head in listed(roi_head.get("bbox_head")):
        _relative(head)


def _without_helpers(detector: ConfigDict) -> None:
    """Leave out, in place, the heads that only help the one that predicts to learn.

    They classify, and labels are no classes here. An option that the constructor has a default for takes it;
    else an empty list stands for a list, and None for a head.
    """
    options = options_of(next(iter(ancestry(detector)), object))
    for key in helper_keys(detector):
        if key in options and options[key].default is not inspect.Parameter.empty:
            del detector[key]
        else:
            detector[key] = [] if isinstance(detector[key], (list, tuple)) else None


def _relative(config: Any) -> None:
    """Replace a class that insists on more than boxes, and keep the options that its relative takes."""
    name = nearest(ancestry(config), _RELATIVES)
    if name is None:
        return
    relative = MODELS.get(f"mmdet.{name}")
    taken = options_of(relative)
    for option in [key for key in config if key not in taken]:
        del config[option]
    config["type"] = relative
