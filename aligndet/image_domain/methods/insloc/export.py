"""From an InsLoc checkpoint, ours or the published layout, to a plain mmdet two-stage detector.

Kept: backbone, neck, C4's last stage, the RoI head's shared convolutions and its first fully connected layer.
Dropped: the rest of the projection, queues, key network. RPN, classifier, box regression and mask head start
at random, as in the paper (section 3.5 of the method notes: everything but these is transferred).
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS
from torch import Tensor, nn

from aligndet.common.checkpoints import write_checkpoint
from aligndet.common.errors import InputError
from aligndet.image_domain.keys import is_counter
from aligndet.image_domain.normalisation import IMAGENET
from aligndet.image_domain.sources import Source

BOX_HEAD = "roi_head.bbox_head."
LAST_STAGE = ("roi_head.shared_head.layer4.", "backbone.layer4.")  # C4 and other ResNets call it differently
SHARED_LAYERS = (BOX_HEAD + "shared_convs.", BOX_HEAD + "shared_fcs.")
PRETRAINED = ("backbone.", "neck.", "roi_head.shared_head.", *SHARED_LAYERS)


class NotInsLocError(InputError):
    """Not an InsLoc checkpoint, or one of another architecture than the detector."""


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

    def __str__(self) -> str:
        """Three lines: tensor counts by part."""
        rows = (
            ("kept", self.state, "taken over"),
            ("missing", self.missing, "in the detector, not in the checkpoint: starts as its config says"),
            ("dropped", self.dropped, "in the checkpoint, not used"),
        )
        return "\n".join(f"{kind:<8} {len(keys):>4}  {_parts(keys)}: {why}" for kind, keys, why in rows)


def query_network(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Names of the query network as an mmdet detector has them -> the checkpoint's own.

    Knows ``aligndet.InsLoc`` (``encoder_q.backbone. ...``) and the published code (``backbone. ...`` beside
    the key network's ``backbone_k. ...``), each also under ``module.``.

    Raises:
        NotInsLocError: neither.
    """
    for ours, module in product((True, False), ("", "module.")):
        prefix = f"{module}encoder_q." if ours else module
        twin = f"{module}encoder_k." if ours else f"{module}backbone_k."
        parts = tuple(prefix + part for part in ("backbone.", "neck.", "roi_head."))
        found = {key[len(prefix) :]: key for key in tensors if key.startswith(parts)}
        if "backbone.conv1.weight" in found and any(key.startswith(twin) for key in tensors):
            return found
    raise NotInsLocError(
        "no InsLoc checkpoint: expected encoder_q.backbone.* beside encoder_k.*, or backbone.* beside "
        f"backbone_k.* (the published code), found {_first(list(tensors))}. For a checkpoint with only a "
        "backbone (MoCo v2, say) use aligndet backbone convert"
    )


def export_insloc(source: Source, detector: nn.Module, allow_partial: bool = False) -> Export:
    """Find the detector's tensors in an InsLoc checkpoint.

    Args:
        source: the checkpoint.
        detector: an mmdet two-stage detector; only its names and shapes are read.
        allow_partial: accept that a pre-trained part does not fit the detector wholly.

    Raises:
        NotInsLocError: not an InsLoc checkpoint; or, without ``allow_partial``, a part that both have fits
            not at all or only in some of its layers (a neck without normalisation, another width or depth).
    """
    names = query_network(source.tensors)
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
    """Of the query network's names, those of its pre-trained parts, as this detector calls them.

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
    found = {}
    for name, key in parts.items():
        own = name.startswith(BOX_HEAD)
        if own and not (same_head and (".shared_convs." in name or ".shared_fcs.0." in name)):
            continue
        found[_place(name, wanted)] = key
    return found


def _place(name: str, wanted: set[str]) -> str:
    """The name, or that of the last stage's other place where only that one exists."""
    for here, there in (LAST_STAGE, LAST_STAGE[::-1]):
        moved = there + name[len(here) :]
        if name.startswith(here) and name not in wanted and moved in wanted:
            return moved
    return name


def _refuse_misfit(result: Export, offered: Mapping[str, str], name: str) -> None:
    """Raise where a part that both sides have is not filled, or not used, wholly."""
    parts = {_part(key) for key in offered}
    shared = [key for key in result.missing if _part(key) in parts and not _last_layers(key)]
    holes = [key for key in shared if not is_counter(key)]
    left = [key for key in offered if key not in result.state and not is_counter(key)]
    if holes or left:
        raise NotInsLocError(
            f"{name} does not fit the detector: {len(holes)} tensors of its pre-trained parts are missing in "
            f"the checkpoint ({_first(holes)}), {len(left)} of the checkpoint have no place in it "
            f"({_first(left)}). Depth, widths, number of shared convolutions and norm_cfg of FPN and head "
            "must be those of pre-training. --allow-partial keeps the rest at random."
        )


def _last_layers(key: str) -> bool:
    return key.startswith(BOX_HEAD) and not key.startswith(PRETRAINED)


def _part(key: str) -> str:
    return ".".join(key.split(".")[: 2 if key.startswith("roi_head.") else 1])


def _parts(keys: Iterable[str]) -> str:
    """``backbone 318, neck 28``; of a checkpoint's own names the first words say enough."""
    counts = Counter(_part(key) for key in keys)
    return ", ".join(f"{part} {count}" for part, count in counts.items()) or "none"


def _first(keys: list[str], count: int = 2) -> str:
    return ", ".join(keys[:count]) + (", ..." if len(keys) > count else "") if keys else "none"


def build_detector(cfg: Mapping | Config) -> nn.Module:
    """The detector of a config, or of its ``model.detector`` in a pre-training; no weights are loaded."""
    model: Any = cfg["model"]
    with MODELS.switch_scope_and_registry(cfg.get("default_scope") or "mmdet") as registry:
        return registry.build(ConfigDict(copy.deepcopy(dict(model.get("detector") or model))))


def save(export: Export, source: Source, out: Path) -> None:
    """Write an mmdet checkpoint, atomically; its meta says where it is from and how images are normalised."""
    published = any(key.startswith(("backbone_k.", "module.backbone_k.")) for key in source.tensors)
    known = source.normalisation or (IMAGENET if published else None)
    meta = {
        "source": source.name,
        "missing": list(export.missing),
        "normalisation": known.as_dict() if known else None,
    }
    write_checkpoint(out, export.state, meta)
