"""The backbone that a config (of ``aligndet.training.run.load_config``) describes, built alone."""

import copy
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS
from torch import nn

from aligndet.common.errors import InputError
from aligndet.image_domain.convert import convert
from aligndet.image_domain.normalisation import is_pretrained
from aligndet.image_domain.sources import load_source
from aligndet.scopes import building


def backbone_config(cfg: Mapping | Config) -> ConfigDict:
    """The backbone's part of a config.

    It is ``model.detector.backbone`` in a pre-training config, ``model.backbone`` in that of a detector or
    classifier, or ``backbone`` in a file with nothing else.

    Raises:
        InputError: the config has none of these.
    """
    model = cfg.get("model")
    model = model if isinstance(model, Mapping) else {}
    for holder in (model.get("detector"), model, cfg):
        if isinstance(holder, (Mapping, Config)) and isinstance(holder.get("backbone"), Mapping):
            return ConfigDict(copy.deepcopy(holder["backbone"]))
    raise InputError(
        "no backbone in the config: expected model.detector.backbone, model.backbone or backbone"
    )


def build_backbone(cfg: Mapping | Config, initialise: bool = False) -> nn.Module:
    """Build the backbone of a config in the config's own ``default_scope`` (mmdet where it names none).

    Args:
        cfg: see :func:`backbone_config`.
        initialise: load what the config asks for (``init_cfg`` or timm's ``pretrained``); False leaves random
            weights and touches neither network nor disk.

    Raises:
        InputError: there is none, or it cannot be built.
    """
    part = backbone_config(cfg)
    if not initialise and "pretrained" in part:
        part["pretrained"] = False if isinstance(part["pretrained"], bool) else None
    with (
        building(f"the config's backbone {str(part.get('type'))[:80]!r} cannot be built"),
        MODELS.switch_scope_and_registry(cfg.get("default_scope") or "mmdet") as registry,
    ):
        backbone: Any = registry.build(part)
    if initialise and hasattr(backbone, "init_weights"):
        backbone.init_weights()
    built: nn.Module = backbone
    return built


def starts_pretrained(cfg: Mapping | Config) -> bool:
    """Whether the config itself gives its backbone trained weights."""
    part = backbone_config(cfg)
    inits = part.get("init_cfg") or []
    inits = [inits] if isinstance(inits, Mapping) else inits
    return bool(part.get("pretrained")) or any(is_pretrained(init) for init in inits)


def trained_backbone(cfg: Mapping | Config, weights: str | None = None) -> nn.Module:
    """A backbone with trained weights: those given (``sources.load_source``), or those the config asks for.

    Raises:
        NoMatchError: the weights do not fit the backbone.
        InputError: neither weights nor anything in the config: the backbone would be random.
    """
    if weights is None:
        if not starts_pretrained(cfg):
            raise InputError(
                "the config gives its backbone no weights, and random features are no use: pass --weights "
                "or set init_cfg=dict(type='Pretrained', checkpoint=...)"
            )
        return build_backbone(cfg, initialise=True)
    backbone = build_backbone(cfg)
    conversion = convert(load_source(weights), backbone)
    backbone.load_state_dict(conversion.state, strict=False)
    return backbone
