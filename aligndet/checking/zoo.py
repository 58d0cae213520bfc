"""The configs of the installed mmdet, and which of them have the same model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mmdet

from aligndet.box_domain.adapters.heads import listed
from aligndet.box_domain.recipe.lookup import name_of
from aligndet.checking.row import NO_DETECTOR, NOT_MMDET, UNREADABLE
from aligndet.common.configs import read_config
from aligndet.common.errors import InputError
from aligndet.transfer.stock import quiet, without_downloads

#: Keys of a model config under which heads that find boxes stand.
HEADS = ("query_head", "rpn_head", "roi_head", "bbox_head")


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


def address(name: str) -> str:
    """What everybody calls a config of :func:`config_names`."""
    return f"mmdet::{name}"


def describe(name: str) -> Model:
    """Say of a config of :func:`config_names` what can be said without building its model."""
    try:
        with quiet():
            model = read_config(address(name)).get("model")
    except InputError as error:
        reason = str(error).replace(f"{folder()}/", "").removeprefix(f"config {address(name)}: ")
        missing = isinstance(error.__cause__, ImportError)  # of what mmdet can do without
        return Model([name], key=name, status=UNREADABLE if missing else NOT_MMDET, reason=reason)
    if not model:
        return Model([name], key=name, status=NO_DETECTOR, reason="the config has no model")
    plain = without_downloads(model)
    return Model([name], *describe_model(plain), fingerprint(plain))


def describe_model(model: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Name the class of a detector, and those of its heads that find boxes, each once."""
    candidates = [head for key in HEADS for head in listed(model.get(key))]
    for roi_head in listed(model.get("roi_head")):
        candidates += listed(roi_head.get("bbox_head")) if isinstance(roi_head, Mapping) else []
    heads = [name_of(head) for head in candidates if isinstance(head, Mapping)]
    return name_of(model), list(dict.fromkeys(heads))


def fingerprint(model: Any) -> str:
    """Equal for models that differ at most in pixel statistics and in weights to download."""
    plain = {key: value for key, value in model.items() if key != "data_preprocessor"}
    text = json.dumps(plain, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
