"""The few numbers that sum up each stage of the demo, read from its files: parts joined by "; "."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from aligndet.road.numbers import ends, export, image_domain, logged, text_of

__all__ = ["box_domain", "compare", "ends", "export", "image_domain", "images", "logged", "proposals"]

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
    recall = re.findall(r"recall at IoU 0.5 .*?: ([\d.]+) \((\d+) images\)", text_of(log))
    known = f"; recall {100 * float(recall[-1][0]):.0f} % on {recall[-1][1]} test images" if recall else ""
    return f"{each:.1f} proposals per image{known}"


def box_domain(run: Path, retrieval: Path) -> str:
    """Losses at both ends, positives of a step, and how often a box finds itself in the mirrored view."""
    positives = logged(run, "positives")
    found = json.loads(retrieval.read_text())
    shares = f"{100 * found['before']:.0f} % -> {100 * found['after']:.0f} %"
    losses = f"contrast {ends(run, 'loss_contrast')}; box loss {ends(run, 'loss_bbox')}"
    mean = sum(positives) / len(positives)
    return f"{losses}; {mean:.0f} positives a step; box found in mirrored view {shares}"


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
