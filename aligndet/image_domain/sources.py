"""Weights of stage 1, wherever they come from: one tensor dict, and how the images were normalised."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from aligndet.common.checkpoints import read_checkpoint
from aligndet.common.errors import InputError
from aligndet.common.newest_checkpoint import checkpoint_file
from aligndet.image_domain.normalisation import Normalisation, config_in, normalisation_in, normalisation_of

# Optimiser state and book-keeping hold tensors too, but no weights.
NOT_WEIGHTS = ("optimizer", "optim", "message_hub", "meta", "param_schedulers", "lr_scheduler", "scaler")


@dataclass(frozen=True)
class Source:
    """Weights under their maker's names, and what is known of their training.

    Attributes:
        name: where they come from. tensors: by the maker's names. normalisation: of the images.
        style: of a ResNet, ``pytorch`` (a bottleneck strides in its 3 x 3 convolution) or ``caffe`` (in its
            first 1 x 1). Names and shapes are the same, features are not.
    """

    name: str
    tensors: dict[str, Tensor]
    normalisation: Normalisation | None = None
    style: str | None = None


def load_source(name: str) -> Source:
    """Read weights.

    Args:
        name: ``timm:NAME``, ``torchvision:NAME`` or ``torchvision:NAME:WEIGHTS``, ``mmpretrain::CONFIG`` (its
            published weights), a URL, a checkpoint file (.pth, .pt, .safetensors), or a work dir of mmengine
            (its latest checkpoint).

    Raises:
        InputError: no such file, or a folder without a checkpoint.
        InputError: the file holds no tensors, or was saved before its first training step.
    """
    kind, _, rest = name.partition(":")
    if kind == "timm":
        return _from_timm(name, rest)
    if kind == "torchvision" and not rest.startswith("//"):
        return _from_torchvision(name, rest)
    if "::" in name:
        return _from_model_zoo(name)
    return _from_file(name)


def read_tensors(checkpoint: Any, name: str) -> dict[str, Tensor]:
    """All weights of a checkpoint in one flat dict; nested ones (``teacher``, ``student``) join with dots."""
    if isinstance(checkpoint, nn.Module):
        return dict(checkpoint.state_dict())
    for wrapper in ("state_dict", "model"):
        inner = checkpoint.get(wrapper) if isinstance(checkpoint, Mapping) else None
        if isinstance(inner, (Mapping, nn.Module)):
            return read_tensors(inner, name)
    tensors = dict(_flatten(checkpoint)) if isinstance(checkpoint, Mapping) else {}
    if not tensors:
        raise InputError(f"{name} holds no tensors: expected a state dict or a dict with a 'state_dict'")
    return tensors


def _flatten(node: Mapping, prefix: str = "") -> list[tuple[str, Tensor]]:
    tensors: list[tuple[str, Tensor]] = []
    for key, value in node.items():
        if isinstance(value, nn.Module):
            value = value.state_dict()
        if isinstance(value, Tensor):
            tensors.append((f"{prefix}{key}", value))
        elif isinstance(value, Mapping) and key not in NOT_WEIGHTS:
            tensors += _flatten(value, f"{prefix}{key}.")
    return tensors


def _from_file(name: str) -> Source:
    path = Path(name)
    if "://" in name:
        checkpoint = CheckpointLoader.load_checkpoint(name, map_location="cpu")
    elif not path.exists():
        raise InputError(
            f"{name}: no such file or folder. Model names need their maker in front: "
            "timm:NAME, torchvision:NAME, mmpretrain::CONFIG"
        )
    else:
        path = checkpoint_file(path)
        name, checkpoint = str(path), read_checkpoint(path)
    meta = checkpoint.get("meta") if isinstance(checkpoint, Mapping) else None
    if isinstance(meta, Mapping) and meta.get("iter") == 0:
        raise InputError(f"{name} was saved before its first training step (fewer images than one batch?)")
    return Source(name, read_tensors(checkpoint, name), normalisation_in(meta), _style_in(meta))


def _style_in(meta: Any) -> str | None:
    """The style of a ResNet that mmengine's checkpoint says it holds."""
    cfg = config_in(meta)
    model = cfg.get("model") if cfg else None
    backbone = model.get("backbone") if isinstance(model, Mapping) else None
    if not isinstance(backbone, Mapping):
        return None
    return backbone.get("style", "pytorch") if "ResNet" in str(backbone.get("type")) else None


def _from_model_zoo(name: str) -> Source:
    from mmengine.hub import get_config

    try:
        cfg = get_config(name, pretrained=True)
    except AssertionError as error:
        raise InputError(f"{name} has no published weights in its model zoo") from error
    source = _from_file(cfg.model_path)
    return Source(name, source.tensors, source.normalisation or normalisation_of(cfg), source.style)


def _from_timm(name: str, model: str) -> Source:
    import timm

    network = timm.create_model(model, pretrained=True)
    settings: Any = network.pretrained_cfg
    return Source(
        name, dict(network.state_dict()), _unit_rgb(settings.get("mean"), settings.get("std")), "pytorch"
    )


def _from_torchvision(name: str, model: str) -> Source:
    from torchvision.models import get_model_weights

    model, _, tag = model.partition(":")
    choices = get_model_weights(model)
    weights = choices[tag] if tag else choices["DEFAULT"]
    transform = weights.transforms()
    tensors: dict[str, torch.Tensor] = dict(
        weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    )
    normalisation = _unit_rgb(getattr(transform, "mean", None), getattr(transform, "std", None))
    return Source(name, tensors, normalisation, "pytorch")


def _unit_rgb(mean: Any, std: Any) -> Normalisation | None:
    """From the 0..1 RGB statistics of timm and torchvision to 0..255."""
    if mean is None or std is None:
        return None
    scale = [tuple(round(255 * float(v), 4) for v in values) for values in (mean, std)]
    return Normalisation(scale[0], scale[1], "rgb")
