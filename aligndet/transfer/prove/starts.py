"""Check a start's checkpoint against the detector before hours are spent on it."""

from pathlib import Path
from typing import Any

from aligndet.files import content_hash
from aligndet.transfer.export import fit_plain, save
from aligndet.transfer.source import read_checkpoint


def fit_start(checkpoint: Path, name: str, model: Any, out_dir: Path) -> tuple[Path, str]:
    """Write the part of a checkpoint that fits the detector, so that every run loads exactly that.

    Args:
        checkpoint: a plain detector checkpoint, or one of pre-training (its online network is taken).
        name: of the start. model: model config, with the data's class number.
        out_dir: folder for the fitted checkpoint.

    Returns:
        The fitted checkpoint and one line on what it covers.

    Raises:
        NotThisCheckpointError: it is of another detector.
    """
    state, report = fit_plain(read_checkpoint(checkpoint), model)
    out = out_dir / f"{name}-{content_hash(checkpoint)[:12]}.pth"
    save(state, out, {"aligndet": {"source": checkpoint.name}})
    return out, report.summary()
