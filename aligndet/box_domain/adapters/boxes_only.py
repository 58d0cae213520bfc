"""Reduce a detector to its box branch: what pre-training on boxes cannot train is left out.

Parts for masks, semantics, points and key points go, and so do teachers of distillation. Classes that insist
on such a part are replaced by their relative without it. Every layer that stays keeps its name, so the export
finds it in the stock detector, where the parts left out start as mmdet starts them.
"""

from __future__ import annotations

import inspect
from typing import Any

from mmengine.config import ConfigDict

from aligndet.box_domain.adapters.ancestry import ancestry

#: Config keys of parts that are left out, of the detector and of its RoI head.
_DETECTOR_PARTS = ("mask_head", "semantic_head", "segm_head", "panoptic_fusion_head")
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
    """Return the part of an mmdet model config that boxes can train, and change ``detector`` maybe."""
    detector = student(detector)
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


def student(detector: Any) -> Any:
    """Return the detector that a distillation config trains, without its teacher, or any other as it is."""
    kinds = ancestry(detector)
    plain = next((kind for kind in kinds if not _teacher_options(kind)), None)
    if plain is None or plain is kinds[0]:
        return detector
    kept = {key: value for key, value in detector.items() if "teacher" not in key}
    return ConfigDict({**kept, "type": plain.__name__})


def _teacher_options(cls: Any) -> list[str]:
    return [name for name in inspect.signature(cls.__init__).parameters if "teacher" in name]


def _relative(config: Any) -> None:
    for ancestor in ancestry(config):
        if ancestor.__name__ in _RELATIVES:
            config["type"], unknown = _RELATIVES[ancestor.__name__]
            for option in unknown:
                config.pop(option, None)
            return
