"""The configs of the installed mmdet, and which of them have the same model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mmdet

from aligndet.checking.row import NO_DETECTOR, UNREADABLE
from aligndet.common.configs import read_config
from aligndet.common.errors import InputError
from aligndet.transfer.stock import quiet, without_downloads


@dataclass
class Model:
    """A model of the zoo.

    Attributes:
        configs: those that have it.
        detector: its class. heads: the classes of its heads that find boxes.
        key: hash of its config, without pixel statistics and weights.
        status, reason: where it can be told without building it.
    """

    configs: list[str]
    detector: str = ""
    heads: list[str] = field(default_factory=list)
    key: str = ""
    status: str = ""
    reason: str = ""

    @property
    def kind(self) -> tuple[str, ...]:
        """Models of one kind differ in backbone, neck, losses and options only."""
        return (self.detector, *self.heads)


def folder() -> Path:
    """Where the installed mmdet keeps its configs."""
    return Path(mmdet.__file__).parent / ".mim" / "configs"


def config_names() -> list[str]:
    """Names of all configs that are no parts of others (``_base_``), relative to :func:`folder`."""
    files = (path.relative_to(folder()) for path in folder().rglob("*.py"))
    return sorted(path.as_posix() for path in files if "_base_" not in path.parts)


def read_model(name: str) -> Any:
    """The model section of a config, without weights to download; None where it has none.

    Args:
        name: as :func:`config_names` gives it, a file, or ``mmdet::folder/name.py``.

    Raises:
        InputError: there is no such config, or it cannot be read: what it imports counts too.
    """
    with quiet():
        path = folder() / name
        model = read_config(str(path) if path.is_file() else name).get("model")
    return None if model is None else without_downloads(model)


def describe(name: str) -> Model:
    """What can be said of a config's model without building it."""
    try:
        model = read_model(name)
    except InputError as error:
        reason = str(error).replace(f"{folder()}/", "").removeprefix(f"config {name}: ")
        return Model([name], key=name, status=UNREADABLE, reason=reason)
    if model is None:
        return Model([name], key=name, status=NO_DETECTOR, reason="the config has no model")
    return Model([name], str(model.get("type")), list(heads(model)), fingerprint(model))


def heads(model: Any) -> Iterator[str]:
    """Classes of the heads of a model config that find boxes, repeated ones (cascades) once."""
    candidates = [head for key in ("rpn_head", "roi_head", "bbox_head") for head in _listed(model.get(key))]
    for roi_head in _listed(model.get("roi_head")):
        candidates += _listed(roi_head.get("bbox_head")) if isinstance(roi_head, dict) else []
    yield from dict.fromkeys(str(head.get("type")) for head in candidates if isinstance(head, dict))


def _listed(part: Any) -> list[Any]:
    """A part of a model config that may be a list of parts, as a list; nothing gives none."""
    if isinstance(part, list | tuple):
        return list(part)
    return [] if part is None else [part]


def fingerprint(model: Any) -> str:
    """Equal for models that differ at most in pixel statistics and in weights to download."""
    plain = {key: value for key, value in model.items() if key != "data_preprocessor"}
    text = json.dumps(plain, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
