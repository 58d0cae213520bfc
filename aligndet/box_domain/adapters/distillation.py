"""Detectors that learn from another one: pre-training takes the plain detector that they are built on.

Proposals have no classes, so a teacher has nothing to say about them; and where an adapter put something else
in the place of class scores, what it would say is wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmdet.models.detectors import BaseDetector
from mmengine.config import ConfigDict
from torch import nn

from aligndet.box_domain.adapters.ancestry import ancestry, is_mmdets
from aligndet.box_domain.adapters.heads import listed
from aligndet.common.errors import InputError
from aligndet.common.signatures import options_of, required

#: Keys that every detector may have. What stands under them is its own.
_OWN = ("type", "backbone", "neck", "train_cfg", "test_cfg", "data_preprocessor", "init_cfg")
_INSTEAD = "Give the config of the detector that learns, without the one that it learns from."


def student(detector: Any) -> Any:
    """Return the plain detector in a distillation config, or any other as it is.

    That is the nearest registered ancestor of its class whose constructor knows no other detector, with
    exactly the keys that this constructor takes. A head that is given the teacher's outputs is replaced
    likewise.

    Raises:
        InputError: the class has no such ancestor.
    """
    kinds = ancestry(detector)
    keys = keys_of_the_other(detector)
    if not keys:
        return detector
    plain = next((kind for kind in kinds[1:] if _is_plain(kind, keys)), None)
    if plain is None:
        raise InputError(
            f"model.detector: {kinds[0].__name__} learns from another detector ({', '.join(sorted(keys))}) "
            f"and is built on no plain one that could be pre-trained. {_INSTEAD}"
        )
    taken = options_of(plain)
    kept = {key: _plain_head(value) for key, value in detector.items() if key in taken}
    return ConfigDict({**kept, "type": plain})


def keys_of_the_other(detector: Any) -> set[str]:
    """Name the keys of a model config that speak of another detector: by their name or by their value."""
    kinds = ancestry(detector)
    if not kinds:
        return set()
    named = {key for key in (*options_of(kinds[0]), *detector) if "teacher" in key}
    others = (key for key in detector if key not in _OWN and not key.endswith("_head"))
    return named | {key for key in others if _tells_a_detector(detector[key])}


def refuse_inner_detectors(detector: nn.Module) -> None:
    """Raise if a built detector holds another one, be it hidden from its list of modules.

    Raises:
        InputError: naming the class and the attribute.
    """
    for owner in detector.modules():
        parts = {**vars(owner), **owner._modules}
        for name, part in parts.items():
            if any(isinstance(one, BaseDetector) for one in listed(part)):
                raise InputError(
                    f"model.detector: {type(detector).__name__} holds another detector ({name}) and learns "
                    f"from it, which proposals without classes do not allow. {_INSTEAD}"
                )


def _is_plain(kind: type, keys: set[str]) -> bool:
    """Say whether a class is a detector of its own, registered, that takes none of ``keys``."""
    options = options_of(kind)
    plain = "backbone" in options and not keys & options.keys() and not any("teacher" in o for o in options)
    registered = is_mmdets(kind) or ancestry({"type": kind.__name__})[:1] == (kind,)
    return issubclass(kind, BaseDetector) and plain and registered


def _tells_a_detector(value: Any) -> bool:
    """Say whether a value is a detector's config, or names one, somewhere in it."""
    if isinstance(value, (str, Path)):
        return str(value).endswith(".py")
    if isinstance(value, dict):
        return {"type", "backbone"} <= value.keys() or any(_tells_a_detector(part) for part in value.values())
    return isinstance(value, (list, tuple)) and any(_tells_a_detector(part) for part in value)


def _plain_head(head: Any) -> Any:
    """Replace a head whose loss is given more than mmdet's, by its nearest ancestor of mmdet."""
    kinds = ancestry(head) if isinstance(head, dict) else ()
    of_mmdet = next((kind for kind in kinds if is_mmdets(kind)), None)
    if of_mmdet is None or kinds[0] is of_mmdet or not hasattr(of_mmdet, "loss"):
        return head
    given, known = required(kinds[0].loss), required(of_mmdet.loss)  # type: ignore[attr-defined]
    if len(given) <= len(known):
        return head
    taken = options_of(of_mmdet)
    return ConfigDict({**{key: value for key, value in head.items() if key in taken}, "type": of_mmdet})
