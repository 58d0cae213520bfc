"""Check a start's checkpoint against the detector before hours are spent on it."""

from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict

from aligndet.common.checkpoints import write_checkpoint
from aligndet.common.files import content_hash
from aligndet.common.finite import refuse_not_finite
from aligndet.image_domain.backbones import backbone_config, build_backbone
from aligndet.image_domain.convert import check_style, convert
from aligndet.image_domain.sources import load_source
from aligndet.transfer.fit import fit_plain
from aligndet.transfer.source import Checkpoint, State, read_checkpoint


def fit_start(checkpoint: Path, name: str, model: Any, out_dir: Path) -> tuple[Path, str]:
    """Write the part of a checkpoint that fits the detector, so that every run loads exactly that.

    Args:
        checkpoint: a plain detector checkpoint, one of pre-training (its online network is taken), or one of
            a backbone alone, such as an image-domain method gives; neck and heads then start at random.
        name: of the start. model: model config, with the data's class number.
        out_dir: folder for the fitted checkpoint.

    Returns:
        The fitted checkpoint and one line on what it covers.

    Raises:
        CheckpointError: it is of another detector.
        NoMatchError: it is of another backbone.
        InputError: a tensor of it is not finite.
    """
    source = read_checkpoint(checkpoint)
    if has_heads(source):
        state, report = fit_plain(source, model)
        covers = report.summary()
    else:
        state, covers = fit_backbone(checkpoint, model)
    refuse_not_finite(state, f"--start {name}={checkpoint}")
    out = out_dir / f"{name}-{content_hash(checkpoint)[:12]}.pth"
    write_checkpoint(out, state, {"aligndet": {"source": checkpoint.name}})
    return out, covers


def has_heads(source: Checkpoint) -> bool:
    """Tell whether a checkpoint is of a detector (or of its pre-training) and not of a backbone alone."""
    return source.is_pretraining or source.is_official or source.is_detector


def fit_backbone(checkpoint: Path, model: Any) -> tuple[State, str]:
    """Find the backbone's tensors in a checkpoint of any maker, under the detector's names."""
    config = ConfigDict(model=model)
    source, backbone = load_source(str(checkpoint)), build_backbone(config)
    check_style(source, backbone_config(config))
    conversion = convert(source, backbone)
    taken = f"{len(conversion.state)} of {len(backbone.state_dict())} tensors of the backbone loaded"
    return {f"backbone.{key}": value for key, value in conversion.state.items()}, f"{taken}; random: the rest"
