"""Detectors that look for something else than upright boxes, told by the values of their config.

Libraries beside mmdet give such a detector mmdet's own head and another coder, or a head of theirs, so a list
of names would not do: what a config says of its boxes and of its classes is read instead.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mmdet.registry import TASK_UTILS

from aligndet.box_domain.adapters.ancestry import ancestry
from aligndet.box_domain.adapters.heads import HEAD_KEYS
from aligndet.common.signatures import options_of


@dataclass(frozen=True)
class Reason:
    """Says why a detector is refused.

    Attributes:
        why: what it does that proposals cannot serve.
        instead: what to do.
    """

    why: str
    instead: str


ROTATED = Reason(
    "its boxes are rotated, and proposals are upright",
    "Pre-train the upright detector with the same backbone and neck, such as RetinaNet for Rotated "
    "RetinaNet, and load what is exported in load_from",
)
OTHER_BOXES = Reason(
    "its boxes are not four numbers of an upright box in the image, and proposals are such boxes",
    "Pre-train a 2-D detector with the same backbone and neck, and load what is exported in load_from",
)
SPATIAL = Reason(
    "it finds objects in space (3-D), and proposals are boxes in the image",
    "Pre-train a 2-D detector with the same image backbone, and load what is exported in load_from",
)
POSE = Reason(
    "it finds key points, and proposals are boxes",
    "Pre-train a box detector with the same backbone, and load what is exported in load_from",
)
TEXT = Reason("it finds or reads text, and proposals are boxes", POSE.instead)
LANGUAGE = Reason(
    "it classifies by comparing with text, and proposals have none",
    "Pre-train the detector it is built on: ATSS for GLIP (mmdet::atss/...), DINO for Grounding DINO",
)

#: Scope or package of a library -> what its detectors look for.
_LIBRARIES = {"mmrotate": ROTATED, "mmdet3d": SPATIAL, "mmpose": POSE, "mmocr": TEXT}
#: Words in the keys of a model's parts -> what such a detector does.
_PARTS = {
    **dict.fromkeys(("language", "text"), LANGUAGE),
    **dict.fromkeys(("voxel", "pts", "lidar", "bev"), SPATIAL),
}
#: Words in the keys of files of class vectors that a head reads, and how such files end.
_CLASS_VECTORS = (
    *("text", "prompt", "prompts", "vocab", "vocabulary", "zs"),
    *("embed", "embedding", "embeddings"),
)
_FILES = (".npy", ".npz", ".pth", ".pt", ".pkl", ".json", ".safetensors")
#: Keys for how many numbers a box has in a head, and that count for upright ones.
_SIZES = ("encode_size", "code_size", "bbox_code_size", "box_code_size", "box_dim")
_UPRIGHT_SIZE = 4
_UPRIGHT_TYPE = "hbox"


def foreign(config: Mapping[str, Any]) -> tuple[str, Reason] | None:
    """Find the value of a config that says of its detector that it looks for no upright boxes.

    Args:
        config: a whole config, or its model.

    Returns:
        Where the value stands and what it is, with the reason; None where there is none.
    """
    scope = config.get("default_scope")
    if scope in _LIBRARIES:
        return f"default_scope={scope!r}", _LIBRARIES[scope]
    for place, value in _walk(dict(config.items())):
        reason = _of_box_type(place, value)
        if reason:
            return f"{place}={value!r}", reason
    model = config.get("model") if isinstance(config.get("model"), Mapping) else config
    return _of_model(model or {})


def _of_model(model: Mapping[str, Any]) -> tuple[str, Reason] | None:
    for part in (model, *(model.get(key) for key in HEAD_KEYS)):
        library = _library(part)
        if library in _LIBRARIES:
            return f"of {library}", _LIBRARIES[library]
    for place, value in _walk(dict(model.items())):
        key = place.rpartition(".")[2]
        in_head = "head" in place.partition(".")[0]
        reason = _of_part(key, value) or (_of_head(key, value) if in_head else None)
        if reason:
            told = value.get("type", "...") if isinstance(value, Mapping) else value
            return f"{place}={told!r}", reason
    return None


def _library(part: Any) -> str:
    """Name the scope or package that the class of a part of a config comes from."""
    if not isinstance(part, Mapping) or "type" not in part:
        return ""
    kinds = ancestry(part)
    scope = part["type"].partition(".")[0] if isinstance(part["type"], str) else ""
    packages = [kind.__module__.partition(".")[0] for kind in kinds]
    return next((name for name in (scope, *packages) if name in _LIBRARIES), "")


def _of_box_type(place: str, value: Any) -> Reason | None:
    """Read ``box_type``, ``predict_box_type`` and the values of a ``box_type_mapping``."""
    if "box_type" not in place or not isinstance(value, str) or value.lower() == _UPRIGHT_TYPE:
        return None
    return ROTATED


def _of_part(key: str, value: Any) -> Reason | None:
    """Read the keys of modules that speak of language or space."""
    if not isinstance(value, Mapping) or "type" not in value:
        return None
    return next((reason for word, reason in _PARTS.items() if word in key.split("_")), None)


def _of_head(key: str, value: Any) -> Reason | None:
    """Read from a head or its coder how many numbers a box has, angles, and class vectors from a file."""
    words = set(key.split("_"))
    if "angle" in words and value not in (None, False):
        return ROTATED
    if isinstance(value, str) and value.endswith(_FILES) and words.intersection(_CLASS_VECTORS):
        return LANGUAGE
    size = value if key in _SIZES else _size_of_coder(value) if key.endswith("coder") else None
    if not isinstance(size, int) or size == _UPRIGHT_SIZE:
        return None
    return ROTATED if size == _UPRIGHT_SIZE + 1 else OTHER_BOXES


def _size_of_coder(coder: Any) -> int | None:
    """Count the numbers that a coder makes of a box, where its class tells."""
    if not isinstance(coder, Mapping):
        return None
    kinds = ancestry(coder, TASK_UTILS)
    for key in ("encode_size", "code_size") if kinds else ():
        option = options_of(kinds[0]).get(key)
        default = option.default if option and option.default is not inspect.Parameter.empty else None
        size = coder.get(key, getattr(kinds[0], key, default))
        if isinstance(size, int):
            return size
    return None


def _walk(node: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of a nested config with its place, such as ``bbox_head.bbox_coder.type``."""
    if place:
        yield place, node
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _walk(value, f"{place}.{key}" if place else str(key))
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            yield from _walk(value, f"{place}[{number}]")
