"""A checkpoint of any maker becomes the state of one detector's backbone, or an error says why it cannot."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import ConfigDict
from torch import Tensor, nn

from aligndet.common.checkpoints import CheckpointError, checkpoint_bytes
from aligndet.common.files import write_bytes
from aligndet.common.finite import refuse_not_finite
from aligndet.image_domain.keys import Match, candidates
from aligndet.image_domain.normalisation import Normalisation
from aligndet.image_domain.sources import Source

# Output norms that a detector adds to a classifier's backbone may be missing (Swin: 8 of about 180 tensors).
MIN_MATCH = 0.9


#: How backbones read the keys of their ``Pretrained`` file: as they are called; mmdet's Swin only those that
#: begin with ``backbone.``, or, as stock configs set it up (``convert_weights=True``), the official Swin's.
WAYS: tuple[Callable[[str], str], ...] = (
    lambda key: key,
    lambda key: f"backbone.{key}",
    lambda key: key.replace("patch_embed.projection.", "patch_embed.proj."),
)


class NoMatchError(CheckpointError):
    """The checkpoint does not fit the backbone; training on would start from random weights unnoticed."""


@dataclass(frozen=True)
class Conversion:
    """Backbone state (float tensors as float32, names without prefix) and how it was found."""

    source: Source
    state: dict[str, Tensor]
    match: Match
    tied: tuple[str, ...] = ()


def convert(
    source: Source,
    backbone: nn.Module,
    prefix: str | None = None,
    min_match: float = MIN_MATCH,
    allow_partial: bool = False,
) -> Conversion:
    """Find the backbone's tensors in a checkpoint.

    Args:
        source: the checkpoint.
        backbone: the detector's backbone; only its names and shapes are read.
        prefix: of the backbone in the checkpoint, such as ``backbone.``; None finds the best.
        min_match: least share of the backbone's tensors that must be found.
        allow_partial: accept less, and tensors of another shape, as long as one tensor is found.

    Raises:
        NoMatchError: nothing matches; without ``allow_partial`` less than ``min_match``, or a shape differs.
        InputError: a tensor is not finite.
    """
    wanted = {key: tuple(value.shape) for key, value in backbone.state_dict().items()}
    offered = {key: tuple(value.shape) for key, value in source.tensors.items()}
    matches = candidates(offered, wanted, prefix)
    if not matches:
        raise NoMatchError(_nothing_matches(source.name, offered, wanted, prefix))
    best = matches[0]
    if (best.fraction < min_match or best.mismatched) and not allow_partial:
        raise NoMatchError(
            f"{source.name} fills only {best.fraction:.0%} of the backbone.\n"
            f"{describe(best)}\nIs it another architecture, depth or width? "
            "Pass --allow-partial (or lower --min-match) to keep the rest at random."
        )
    refuse_not_finite({key: source.tensors[key] for _, key in best.pairs}, source.name)
    state = {target: _to_float(source.tensors[key]) for target, key in best.pairs}
    rivals = [m for m in matches if m.fraction == best.fraction and set(m.pairs) != set(best.pairs)]
    tied = tuple(m.renaming.source for m in rivals)
    return Conversion(source, state, best, tied)


def _to_float(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() else tensor).clone()


def describe(match: Match, names: int = 3) -> str:
    """The report: counts of tensors and the first names of each kind."""
    rows = (
        ("matched", [target for target, _ in match.pairs]),
        ("missing", match.missing),
        ("unexpected", match.unexpected),
        ("shape differs", match.mismatched),
    )
    renaming = f"checkpoint prefix '{match.renaming.source}' -> backbone prefix '{match.renaming.target}'"
    lines = [f"{kind:>14} {len(keys):5d}  {_first(keys, names)}" for kind, keys in rows]
    return "\n".join([renaming, *lines])


def _first(keys: Any, names: int) -> str:
    shown = ", ".join(list(keys)[:names])
    return f"{shown}, ..." if len(keys) > names else shown


def _nothing_matches(name: str, offered: Mapping, wanted: Mapping, prefix: str | None) -> str:
    under = f" under prefix '{prefix}'" if prefix is not None else ""
    return (
        f"{name}: no tensor fits the backbone{under}.\n"
        f"  the checkpoint has {len(offered)}: {_first(list(offered), 4)}\n"
        f"  the backbone wants {len(wanted)}: {_first(list(wanted), 4)}\n"
        "Give the config of the detector whose backbone this is (--config), or another --prefix."
    )


def check_style(source: Source, backbone: Mapping) -> None:
    """Refuse a ResNet with bottlenecks of another style, which names and shapes do not show.

    Args:
        source: the checkpoint. backbone: the detector's backbone config.

    Raises:
        NoMatchError: the styles are known and differ.
    """
    depth = backbone.get("depth")
    deep = isinstance(depth, int) and depth >= 50
    if "ResNet" not in str(backbone.get("type")) or not deep or source.style is None:
        return
    style = backbone.get("style", "pytorch")
    if style != source.style:
        raise NoMatchError(
            f"{source.name} is a ResNet of style '{source.style}', the detector's is of style '{style}': "
            f"all tensors fit, features do not. Set model.backbone.style='{source.style}' in the detector"
        )


def normalisation_hint(source: Normalisation | None, detector: Normalisation | None) -> str:
    """One line on the input statistics: unknown, equal, or what to write into the detector's config."""
    if source is None:
        return "input normalisation of the checkpoint: unknown, check model.data_preprocessor yourself"
    if source.same(detector):
        return "input normalisation: equal in checkpoint and detector config"
    differs = " (the given config differs)" if detector is not None else ""
    return (
        f"input normalisation{differs}: the detector needs data_preprocessor=dict({source.as_config()}, ...)"
    )


def save(conversion: Conversion, out: Path, backbone: nn.Module | None = None) -> None:
    """Write, atomically, a file for ``init_cfg=dict(type='Pretrained', checkpoint=out)``.

    Args:
        conversion: what to write.
        out: the file.
        backbone: loads the file as a detector would, to prove that it can; its values are overwritten. The
            file's keys are those of the first of :data:`WAYS` that it reads.

    Raises:
        NoMatchError: the backbone's own way of loading does not bring back the tensors.
    """
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.pth"
        for written_as in WAYS:
            state = {written_as(key): value for key, value in conversion.state.items()}
            data = checkpoint_bytes(state, meta_of(conversion))
            trial.write_bytes(data)
            if backbone is None or _loads(backbone, trial, conversion.state):
                write_bytes(out, data)
                return
    raise NoMatchError(
        f"{conversion.source.name}: its tensors fit {type(backbone).__name__}, but init_cfg=dict(type="
        "'Pretrained') of that backbone does not load them; nothing was written"
    )


def meta_of(conversion: Conversion) -> dict[str, Any]:
    """What is noted beside the tensors."""
    normalisation = conversion.source.normalisation
    return {
        "source": conversion.source.name,
        "prefix": conversion.match.renaming.source,
        "matched": len(conversion.match.pairs),
        "missing": list(conversion.match.missing + conversion.match.mismatched),
        "normalisation": normalisation.as_dict() if normalisation else None,
    }


def _loads(backbone: Any, file: Path, state: Mapping[str, Tensor]) -> bool:
    """Whether the backbone's ``init_cfg`` brings every tensor of the file into it."""
    if not hasattr(backbone, "init_weights"):
        return True  # no mmengine module: it is loaded by its owner
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.zero_()
    # mmengine initialises a module once, and asks the module's own flag whether it did
    backbone.init_cfg = ConfigDict(type="Pretrained", checkpoint=str(file))
    backbone._is_init = False
    try:
        backbone.init_weights()
    except (IndexError, KeyError, RuntimeError):
        return False
    now = backbone.state_dict()
    return all(torch.equal(now[key].cpu(), value) for key, value in state.items())
