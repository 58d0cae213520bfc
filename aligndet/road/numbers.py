"""The few numbers that sum up each stage, read from its files: parts joined by "; "."""

from __future__ import annotations

import re
from pathlib import Path

from aligndet.visualization.curves import read_curves


def proposals(path: Path) -> str:
    """Images with proposals, and proposals per image."""
    from aligndet.proposals.formats import read_proposals

    found = read_proposals(path)
    images = len(found.image_ids)
    return f"{found.num_boxes / max(1, images):.1f} proposals per image; {images} images"


def image_domain(run: Path, log: Path) -> str:
    """Loss at both ends where there was a training, and tensors that the detector took."""
    parts = [f"loss {ends(run, 'loss')}"] if run.exists() else []
    if taken := count("matched", log) or count("kept", log):
        parts.append(f"{taken[-1]} tensors into the detector's backbone")
    return "; ".join(parts)


def box_domain(run: Path) -> str:
    """Losses at both ends, and positives of a step."""
    parts = [f"{name} {ends(run, key)}" for name, key in (("contrast", "loss_contrast"), ("loss", "loss"))]
    positives = logged(run, "positives")
    return "; ".join([*parts, f"{sum(positives) / len(positives):.0f} positives a step"])


def export(log: Path) -> str:
    """Tensors kept, and what starts at random."""
    counts = {kind: found[-1] for kind in ("kept", "classifier") if (found := count(kind, log))}
    kept, left = counts.get("kept", "?"), counts.get("classifier", "0")
    return f"{kept} tensors kept; {left} of the classifier left out"


def finetune(run: Path) -> str:
    """The last AP that was logged, or the loss where nothing was scored."""
    for key in ("coco/bbox_mAP", "pascal_voc/mAP"):
        try:
            return f"{key} {100 * logged(run, key)[-1]:.1f} %"
        except ValueError:
            continue
    return f"loss {ends(run, 'loss')}"


def ends(run: Path, key: str) -> str:
    """``first -> last`` of what was logged."""
    values = logged(run, key)
    return f"{values[0]:.2f} -> {values[-1]:.2f}"


def logged(run: Path, key: str) -> list[float]:
    """All values of a key in order of their steps; a run that was gone on with has a file for each part.

    Raises:
        ValueError: nothing was logged under the key.
    """
    by_step: dict[float, float] = {}
    for file in sorted(run.glob("**/vis_data/scalars.json")):
        by_step.update(zip(*read_curves(file).get(key, ((), ())), strict=True))
    if not by_step:
        raise ValueError(f"{run} has no logged {key}")
    return [by_step[step] for step in sorted(by_step)]


def count(kind: str, log: Path) -> list[str]:
    """All counts that reports in a log give for a kind of tensor."""
    return re.findall(rf"^\s+{kind}\s+(\d+)", text_of(log), re.M)


def text_of(log: Path) -> str:
    """A log, or nothing where there is none."""
    return log.read_text(errors="replace") if log.exists() else ""
