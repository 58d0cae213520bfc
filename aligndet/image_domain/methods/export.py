"""From a checkpoint of a detector-level method of stage 1 to a plain mmdet two-stage detector.

Kept: backbone, neck, C4's last stage, the RoI head's shared convolutions and its first fully connected layer.
Dropped: the rest of the projection, queues, key network. RPN, classifier, box regression and mask head start
at random, as in InsLoc's paper (section 3.5 of the method notes: everything but these is transferred).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS
from torch import Tensor, nn

from aligndet.common.checkpoints import CheckpointError, write_checkpoint
from aligndet.image_domain.keys import is_counter
from aligndet.image_domain.methods.contract import DetectorMethod
from aligndet.image_domain.sources import Source
from aligndet.scopes import building

BOX_HEAD = "roi_head.bbox_head."
LAST_STAGE = ("roi_head.shared_head.layer4.", "backbone.layer4.")  # C4 and other ResNets call it differently
SHARED_LAYERS = (BOX_HEAD + "shared_convs.", BOX_HEAD + "shared_fcs.")
PRETRAINED = ("backbone.", "neck.", "roi_head.shared_head.", *SHARED_LAYERS)


@dataclass(frozen=True)
class Export:
    """What became of every tensor.

    Attributes:
        state: the detector's tensors that the checkpoint gives, by the detector's names.
        missing: detector tensors that it does not give; they start as the detector's config says.
        dropped: checkpoint tensors that no detector needs or this one cannot take, by the checkpoint's names.
    """

    state: dict[str, Tensor]
    missing: tuple[str, ...]
    dropped: tuple[str, ...]


def export_parts(
    source: Source, method: DetectorMethod, detector: nn.Module, allow_partial: bool = False
) -> Export:
    """Find a detector's tensors in a checkpoint of a method.

    Args:
        source: the checkpoint.
        method: that wrote it.
        detector: an mmdet two-stage detector; only its names and shapes are read.
        allow_partial: accept that a pre-trained part does not fit the detector wholly.

    Raises:
        CheckpointError: not a checkpoint of the method; or, without ``allow_partial``, a part that both have
            fits not at all or only in some of its layers (a neck without norms, another width or depth).
    """
    names = method.names(source.tensors)
    if not names:
        raise CheckpointError(f"{source.name} is no {method.name} checkpoint: expected {method.layout}")
    wanted = {key: tuple(value.shape) for key, value in detector.state_dict().items()}
    offered = transferable(names, wanted)
    state, missing = {}, []
    for key, shape in wanted.items():
        value = source.tensors[offered[key]] if key in offered else None
        if value is not None and tuple(value.shape) == shape:
            state[key] = value.detach().cpu().clone()
        else:
            missing.append(key)
    used = {offered[key] for key in state}
    result = Export(state, tuple(missing), tuple(key for key in source.tensors if key not in used))
    if not allow_partial:
        _refuse_misfit(result, offered, source.name)
    return result


def transferable(names: Mapping[str, str], wanted: Iterable[str]) -> dict[str, str]:
    """Select the names of a network's pre-trained parts, as this detector calls them.

    The last stage moves between ``roi_head.shared_head`` (C4) and ``backbone`` where the detector has it in
    the other place. Of the fully connected layers only the first one after convolutions is a detector's;
    the others are the projection. A detector whose head has another number of convolutions takes none of
    it.
    """
    wanted = set(wanted)
    parts = {name: key for name, key in names.items() if name.startswith(PRETRAINED)}
    convs = [{n for n in group if n.startswith(BOX_HEAD + "shared_convs.")} for group in (parts, wanted)]
    counts = [len({name.split(".")[3] for name in group}) for group in convs]
    same_head = counts[0] == counts[1] > 0
    taken = {}
    for name, key in parts.items():
        of_head = name.startswith(BOX_HEAD)
        if of_head and not (same_head and (".shared_convs." in name or ".shared_fcs.0." in name)):
            continue
        taken[_place(name, wanted)] = key
    return taken


def _place(name: str, wanted: set[str]) -> str:
    """The name, or that of the last stage's other place where only that one exists."""
    for here, there in (LAST_STAGE, LAST_STAGE[::-1]):
        moved = there + name[len(here) :]
        if name.startswith(here) and name not in wanted and moved in wanted:
            return moved
    return name


def _refuse_misfit(result: Export, offered: Mapping[str, str], name: str) -> None:
    """Raise where a part that both sides have is not filled, or not used, wholly."""
    parts = {part_of(key) for key in offered}
    shared = [key for key in result.missing if part_of(key) in parts and not _last_layers(key)]
    holes = [key for key in shared if not is_counter(key)]
    left = [key for key in offered if key not in result.state and not is_counter(key)]
    if holes or left:
        raise CheckpointError(
            f"{name} does not fit the detector: {len(holes)} tensors of its pre-trained parts are missing in "
            f"the checkpoint ({_first(holes)}), {len(left)} of the checkpoint have no place in it "
            f"({_first(left)}). Depth, widths, number of shared convolutions and norm_cfg of FPN and head "
            "must be those of pre-training. --allow-partial keeps the rest at random."
        )


def _last_layers(key: str) -> bool:
    return key.startswith(BOX_HEAD) and not key.startswith(PRETRAINED)


def part_of(key: str) -> str:
    """Name the part of a detector that a tensor belongs to: ``neck``, ``roi_head.bbox_head``."""
    return ".".join(key.split(".")[: 2 if key.startswith("roi_head.") else 1])


def _first(keys: list[str], count: int = 2) -> str:
    return ", ".join(keys[:count]) + (", ..." if len(keys) > count else "") if keys else "none"


def build_detector(cfg: Mapping | Config) -> nn.Module:
    """The detector of a config, or of its ``model.detector`` in a pre-training; no weights are loaded.

    Raises:
        InputError: it cannot be built.
    """
    with (
        building("the config's detector cannot be built"),
        MODELS.switch_scope_and_registry(cfg.get("default_scope") or "mmdet") as registry,
    ):
        model: Any = cfg["model"]
        detector: nn.Module = registry.build(ConfigDict(copy.deepcopy(dict(model.get("detector") or model))))
    return detector


def save(export: Export, source: Source, method: DetectorMethod, out: Path) -> None:
    """Write an mmdet checkpoint, atomically; its meta says where it is from and how images are normalised."""
    write_checkpoint(out, export.state, meta_of(export, source, method))


def meta_of(export: Export, source: Source, method: DetectorMethod) -> dict[str, Any]:
    """What is noted beside the tensors."""
    normalisation = source.normalisation or method.published_normalisation
    return {
        "source": source.name,
        "missing": list(export.missing),
        "normalisation": normalisation.as_dict() if normalisation else None,
    }
