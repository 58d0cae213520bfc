"""The few numbers that sum up each stage of the demo, read from its files: parts joined by "; "."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from aligndet.visualization.curves import read_curves

Labels = tuple[Path, Path, Path]


def images(folder: Path, labels: Labels | None) -> str:
    """How many there are."""
    count = sum(path.suffix.lower() in (".jpg", ".jpeg") for path in folder.rglob("*"))
    text = f"{count} unlabelled"
    if labels:
        sizes = [len(json.loads(path.read_text())["images"]) for path in labels[:2]]
        text += f"; {sizes[0]} labelled to train on; {sizes[1]} to validate on"
    left_out = folder.parent / "left_out.txt"
    lost = len(left_out.read_text().splitlines()) if left_out.exists() else 0
    return text + (f"; {lost} left out, see {left_out}" if lost else "")


def proposals(file: Path, log: Path) -> str:
    """Per image, and recall where it was measured."""
    content = json.loads(file.read_text())
    each = len(content["annotations"]) / max(1, len(content["images"]))
    recall = re.findall(r"recall at IoU 0.5 .*?: ([\d.]+) \((\d+) images\)", _text(log))
    known = f"; recall {100 * float(recall[-1][0]):.0f} % on {recall[-1][1]} test images" if recall else ""
    return f"{each:.1f} proposals per image{known}"


def image_domain(run: Path, log: Path) -> str:
    """Loss at both ends, and tensors that the detector's backbone took."""
    taken = re.findall(r"matched\s+(\d+)", _text(log))
    matched = f"; {taken[-1]} tensors into the detector's backbone" if taken else ""
    return f"loss {ends(run, 'loss')}{matched}"


def box_domain(run: Path, retrieval: Path) -> str:
    """Losses at both ends, positives of a step, and how often a box finds itself in the other view."""
    positives = logged(run, "positives")
    found = json.loads(retrieval.read_text())
    shares = f"{100 * found['before']:.0f} % -> {100 * found['after']:.0f} %"
    losses = f"contrast {ends(run, 'loss_contrast')}; box loss {ends(run, 'loss_bbox')}"
    mean = sum(positives) / len(positives)
    return f"{losses}; {mean:.0f} positives a step; box found in other view {shares}"


def export(log: Path) -> str:
    """Tensors kept, and what starts at random."""
    counts = {kind: found[-1] for kind in ("kept", "classifier") if (found := _count(kind, log))}
    kept, left = counts.get("kept", "?"), counts.get("classifier", "0")
    return f"{kept} tensors kept; {left} of the classifier left out"


def compare(file: Path) -> str:
    """AP of every start, the difference and the verdict."""
    results: dict[str, Any] = json.loads(file.read_text())
    parts = []
    for arm in results["arms"]:
        ap, ap50 = (list(arm[key].values()) for key in ("ap", "ap50"))
        if not ap:
            parts.append(f"{arm['start']} failed")
            continue
        parts.append(f"{arm['start']}: AP {sum(ap) / len(ap):.1f}, AP50 {sum(ap50) / len(ap50):.1f}")
        if gain := arm["difference"]:
            bounds = [] if gain["low"] is None else [f" [{gain['low']:+.1f}, {gain['high']:+.1f}]"]
            found = f"difference {gain['mean']:+.1f}{''.join(bounds)} AP over {gain['n']} seeds"
            parts.append(f"{found}: {gain['verdict']}")
    return "; ".join(parts)


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


def _count(kind: str, log: Path) -> list[str]:
    return re.findall(rf"^\s+{kind}\s+(\d+)", _text(log), re.M)


def _text(log: Path) -> str:
    return log.read_text(errors="replace") if log.exists() else ""
