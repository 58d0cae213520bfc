"""Detectors that box-domain pre-training cannot serve: why, and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aligndet.box_domain.adapters.ancestry import ancestry, nearest
from aligndet.box_domain.adapters.foreign import LANGUAGE, Reason, foreign
from aligndet.box_domain.adapters.heads import HEAD_KEYS, listed
from aligndet.common.errors import InputError

_TRACKER = Reason(
    "it tracks, and holds its detector inside", "Give that detector: its config's model.detector"
)
_MASKS = Reason(
    "it predicts masks and no boxes", "Take an instance segmenter with a box branch, such as Mask R-CNN"
)

#: Class of a model or of its head, of mmdet -> why it is refused. Sub-classes too.
_REFUSED: dict[str, Reason] = {
    "GLIP": LANGUAGE,
    "GroundingDINO": LANGUAGE,
    "ATSSVLFusionHead": LANGUAGE,
    "GroundingDINOHead": LANGUAGE,
    "BaseMOTModel": _TRACKER,
    "MaskFormer": _MASKS,
    "Mask2FormerVideo": Reason("it segments videos and predicts no boxes", _MASKS.instead),
    "SOLO": _MASKS,
    "SOLOv2": _MASKS,
    "CornerHead": Reason(
        "it predicts corners and pairs them, so no slot of its classifier speaks about one box",
        "Take CenterNet, which predicts boxes from centres",
    ),
    "CLRNet": Reason(
        "it predicts lanes, which are curves and no boxes", "There is no box branch to pre-train"
    ),
    "SemiBaseDetector": Reason(
        "it trains a student and a teacher with labels", "Give its config's model.detector"
    ),
    "BaseReID": Reason(
        "it describes crops of one object each", "See configs/image_domain for such a backbone"
    ),
    "mmpretrain.ImageClassifier": Reason(
        "it classifies whole images", "See configs/image_domain for such a backbone"
    ),
    "Detectron2Wrapper": Reason(
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
    heads = (head for key in HEAD_KEYS for head in listed(detector.get(key)))
    for config in (detector, *heads):
        reason = _reason_of_class(config) if isinstance(config, Mapping) else None
        if reason:
            raise _refusal(config.get("type"), reason)
    if found := foreign(detector):
        place, reason = found
        raise _refusal(detector.get("type"), reason, f"model.{place}")


def refuse_config(config: Mapping[str, Any]) -> None:
    """Raise if any value of a config says that its detector looks for no upright boxes; its data may, too.

    Args:
        config: an mmdet config with ``model``.

    Raises:
        InputError: names the key, and says why and what to use instead.
    """
    if found := foreign(config):
        place, reason = found
        raise _refusal(config["model"].get("type"), reason, place)


def _refusal(kind: Any, reason: Reason, place: str = "") -> InputError:
    name = getattr(kind, "__name__", kind)
    said = f" ({place})" if place else ""
    return InputError(
        f"model.detector: {name} cannot be pre-trained here: {reason.why}{said}. {reason.instead}."
    )


def _reason_of_class(config: Mapping[str, Any]) -> Reason | None:
    """Find a class among those refused; one that is not registered by the last part of its name."""
    kinds = ancestry(config)
    if kinds:
        return nearest(kinds, _REFUSED)
    by_name = {name.rpartition(".")[2]: reason for name, reason in _REFUSED.items()}
    return by_name.get(str(config.get("type")).rpartition(".")[2])
