"""Reduce a detector to its box branch: what pre-training on boxes cannot train is left out.

Parts for masks, semantics, points and key points go, and so do teachers of distillation. Classes that insist
on such a part are replaced by their relative without it. Every layer that stays keeps its name, so the export
finds it in the stock detector, where the parts left out start as mmdet starts them.
"""

from __future__ import annotations

from typing import Any

from mmdet.registry import MODELS
from mmengine.config import ConfigDict

#: Config keys of parts that are left out, of the detector and of its RoI head.
_DETECTOR_PARTS = ("mask_head", "semantic_head", "segm_head", "panoptic_fusion_head", "teacher_config")
_ROI_PARTS = (
    *("mask_head", "mask_roi_extractor", "mask_iou_head", "point_head", "mask_info_flow"),
    *("semantic_head", "semantic_roi_extractor", "semantic_fusion", "glbctx_head", "feat_relay_head"),
)

#: Class -> its relative that needs boxes only, and the options that the relative does not know.
_RELATIVES: dict[str, tuple[str, tuple[str, ...]]] = {
    # detectors
    "SingleStageInstanceSegmentor": ("SingleStageDetector", ()),
    "PanopticFPN": ("MaskRCNN", ()),
    "QueryInst": ("SparseRCNN", ()),
    "SCNet": ("CascadeRCNN", ()),
    "HybridTaskCascade": ("CascadeRCNN", ()),
    "KnowledgeDistillationSingleStageDetector": ("SingleStageDetector", ("teacher_ckpt", "eval_teacher")),
    "LAD": ("PAA", ("teacher_backbone", "teacher_neck", "teacher_bbox_head", "teacher_ckpt", "eval_teacher")),
    # heads of one stage
    "CondInstBboxHead": ("FCOSHead", ("num_params",)),
    "LDHead": ("GFLHead", ("loss_ld", "loss_ld_vlr", "loss_kd", "loss_im", "imitation_method")),
    "LADHead": ("PAAHead", ()),
    # RoI heads
    "MaskScoringRoIHead": ("StandardRoIHead", ()),
    "PointRendRoIHead": ("StandardRoIHead", ()),
    "PISARoIHead": ("StandardRoIHead", ()),
    "HybridTaskCascadeRoIHead": ("CascadeRoIHead", ("interleaved",)),
    "SCNetRoIHead": ("CascadeRoIHead", ()),
    "SCNetBBoxHead": ("ConvFCBBoxHead", ()),
}


def boxes_only(detector: ConfigDict) -> ConfigDict:
    """Leave out of an mmdet model config, in place, what boxes cannot train. Returns it."""
    _relative(detector)
    for part in _DETECTOR_PARTS:
        detector.pop(part, None)
    for head in (detector.get("bbox_head"), detector.get("roi_head")):
        if isinstance(head, dict):
            _relative(head)
    roi_head = detector.get("roi_head")
    if isinstance(roi_head, dict):
        for part in _ROI_PARTS:
            roi_head.pop(part, None)
        heads = roi_head.get("bbox_head")
        for head in heads if isinstance(heads, (list, tuple)) else [heads]:
            _relative(head)
    return detector


def _relative(config: Any) -> None:
    kind = config.get("type")
    cls = MODELS.get(kind) if isinstance(kind, str) else kind
    for ancestor in cls.__mro__ if isinstance(cls, type) else ():
        if ancestor.__name__ in _RELATIVES:
            config["type"], unknown = _RELATIVES[ancestor.__name__]
            for option in unknown:
                config.pop(option, None)
            return
