"""Which of a detector's heads predicts, and which only help it learn."""

from __future__ import annotations

from typing import Any

from mmengine.config import ConfigDict
from torch import nn

from aligndet.common.errors import InputError

#: Keys of a model config, and attributes of a detector, that hold a head that predicts; the first one counts.
#: A detector with a ``query_head`` (Co-DETR) has its other heads for helpers.
HEAD_KEYS = ("query_head", "roi_head", "bbox_head", "rpn_head")
#: Keys of heads that predict no boxes.
PARTS_WITHOUT_BOXES = (
    *("mask_head", "semantic_head", "segm_head", "panoptic_head", "panoptic_fusion_head"),
    *("keypoint_head", "point_head"),
)


def head_key(detector: ConfigDict) -> str:
    """Name the key of the head that predicts: ``query_head``, ``roi_head``, ``bbox_head`` or ``rpn_head``.

    Raises:
        InputError: the detector has none, or several without saying which of them predicts.
    """
    kind = detector.get("type")
    key = next((key for key in HEAD_KEYS if detector.get(key)), None)
    if key is None:
        instead = [part for part in PARTS_WITHOUT_BOXES if detector.get(part)]
        has = f"but {', '.join(instead)}, " if instead else ""
        raise InputError(
            f"model.detector (type {kind!r}) has no query_head, roi_head, bbox_head or rpn_head, {has}so it "
            "predicts no boxes that could be pre-trained. Give the model of a box detector."
        )
    head = detector[key]
    if isinstance(head, (list, tuple)):
        raise InputError(
            f"model.detector.{key}: {kind} has a list of {len(head)} heads here and no query_head, so it is "
            "unknown which one predicts. Give a config with one head under this key, and pre-train that."
        )
    if not isinstance(head, dict) or "type" not in head:
        raise InputError(f"model.detector.{key}: expected the config of a head, a dict with a type")
    return key


def head_config(detector: ConfigDict) -> ConfigDict:
    """Return the config of the head that predicts.

    Raises:
        InputError: as :func:`head_key`.
    """
    return detector[head_key(detector)]


def helper_keys(detector: ConfigDict) -> list[str]:
    """List the keys of heads that tell classes apart, beside the one that predicts.

    Raises:
        InputError: as :func:`head_key`.
    """
    predicts = head_key(detector)
    return [key for key in classifying_keys(detector) if key != predicts]


def classifying_keys(detector: ConfigDict) -> list[str]:
    """List the keys of heads of boxes that tell classes apart, which an RPN does not."""
    others = ("rpn_head", *PARTS_WITHOUT_BOXES)
    keys = (key for key in detector if key.endswith(("_head", "_heads")) and key not in others)
    return [key for key in keys if any(isinstance(head, dict) for head in listed(detector[key]))]


def check_shape(detector: ConfigDict) -> None:
    """Raise unless what every adapter reads of a model config is there.

    Raises:
        InputError: naming the key and what was expected under it.
    """
    kind, train = detector.get("type"), detector.get("train_cfg")
    if not isinstance(detector.get("backbone"), dict):
        raise InputError(
            f"model.detector.backbone: expected the config of one backbone for {kind}, which is frozen in "
            f"pre-training, got {_word(detector.get('backbone'))}"
        )
    if head_key(detector) != "roi_head":
        return
    if not listed(detector.roi_head.get("bbox_head")):
        raise InputError(f"model.detector.roi_head: no bbox_head in the RoI head of {kind}, so no boxes")
    if not isinstance(train, dict) or not train.get("rcnn"):
        raise InputError(
            f"model.detector.train_cfg: expected a dict with rcnn, the matching of the roi_head of {kind}, "
            f"got {_word(train)}"
        )


def head_of(detector: Any) -> Any:
    """Return the head of a built detector that predicts; the detector itself where it has none."""
    heads = (getattr(detector, key, None) for key in HEAD_KEYS)
    return next((h for h in heads if isinstance(h, nn.Module) and not isinstance(h, nn.ModuleList)), detector)


def name_of_head(detector: Any) -> str:
    """Name the class of the head of a built detector that predicts."""
    return type(head_of(detector)).__name__


def nearest_with(attribute: str, detector: nn.Module, name: str) -> nn.Module | None:
    """Find the nearest module that has an attribute: that of the dotted ``name``, or one around it."""
    path = name.split(".")
    while path:
        module = detector.get_submodule(".".join(path))
        if hasattr(module, attribute):
            return module
        path.pop()
    return None


def listed(part: Any) -> list[Any]:
    """Give a part of a config that may be a list of parts as a list; nothing gives none."""
    if isinstance(part, (list, tuple)):
        return list(part)
    return [] if part is None else [part]


def _word(value: Any) -> str:
    return "none" if value is None else f"a {type(value).__name__}"
