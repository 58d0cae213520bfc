"""Detectors that box-domain pre-training cannot serve: why, and what to do instead."""

from __future__ import annotations

from typing import Any

from aligndet.box_domain.adapters.ancestry import ancestry
from aligndet.common.errors import InputError

_LANGUAGE = (
    "it classifies by comparing with text, and proposals have none",
    ("Pre-train the detector it is built on: ATSS for GLIP (mmdet::atss/...), DINO for Grounding DINO"),
)
_TRACKER = "it tracks, and holds its detector inside", "Give that detector: its config's model.detector"
_MASKS = "it predicts masks and no boxes", "Take an instance segmenter with a box branch, such as Mask R-CNN"

#: Class of a model, or of its head -> why it is refused, and what to use instead. Sub-classes too.
_REFUSED: dict[str, tuple[str, str]] = {
    "GLIP": _LANGUAGE,
    "GroundingDINO": _LANGUAGE,
    "ATSSVLFusionHead": _LANGUAGE,
    "GroundingDINOHead": _LANGUAGE,
    "BaseMOTModel": _TRACKER,
    "MaskFormer": _MASKS,
    "Mask2FormerVideo": ("it segments videos and predicts no boxes", _MASKS[1]),
    "SOLO": _MASKS,
    "SOLOv2": _MASKS,
    "CornerHead": (
        "it predicts corners and pairs them, so no slot of its classifier speaks about one box",
        "Take CenterNet, which predicts boxes from centres",
    ),
    "CLRNet": ("it predicts lanes, which are curves and no boxes", "There is no box branch to pre-train"),
    "SemiBaseDetector": ("it trains a student and a teacher with labels", "Give its config's model.detector"),
    "BaseReID": ("it describes crops of one object each", "See configs/image_domain for such a backbone"),
    "ImageClassifier": ("it classifies whole images", "See configs/image_domain for such a backbone"),
    "Detectron2Wrapper": (
        "its parts are detectron2's and not mmdet's",
        "Take the same detector's mmdet config",
    ),
}


def refuse(detector: Any) -> None:
    """Raise if a detector is of a kind that cannot be served.

    Args:
        detector: an mmdet model config.

    Raises:
        InputError: says why, and what to use instead.
    """
    for config in (detector, detector.get("bbox_head"), detector.get("mask_head")):
        if not isinstance(config, dict):
            continue
        kind = config.get("type")
        names = [cls.__name__ for cls in ancestry(config)] or [str(kind).rpartition(".")[2]]
        for name in names:
            if name in _REFUSED:
                why, instead = _REFUSED[name]
                raise InputError(f"model.detector: {kind} cannot be pre-trained here: {why}. {instead}.")
