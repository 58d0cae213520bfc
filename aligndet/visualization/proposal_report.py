"""What a set of proposals is like: numbers, curves, and a page or picture that shows all."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from aligndet.common.files import write_text
from aligndet.common.labels.file import LabelFile
from aligndet.evaluation.recall import Coverage, coverage
from aligndet.proposals.store import ProposalStore

CURVE = tuple(np.unique(np.logspace(0, 3, 25).astype(int)).tolist())  # budgets, 1 to 1000
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def sample_images(proposals: ProposalStore, most: int = 20_000) -> np.ndarray:
    """At most `most` image numbers, evenly spread."""
    return np.unique(np.linspace(0, len(proposals) - 1, min(most, len(proposals))).astype(int))


def box_values(proposals: ProposalStore, images: np.ndarray) -> dict[str, np.ndarray]:
    """Numbers per image or per box, by what they mean; those of boxes of some images only."""
    boxes = np.concatenate([proposals.boxes(int(image)) for image in images])
    counts = proposals.counts[images]
    sides = boxes[:, 2:] - boxes[:, :2]
    area = np.repeat(proposals.sizes[images].astype(float).prod(axis=1), counts)
    values = {
        "boxes per image": counts,
        "side, px (sqrt of area)": np.sqrt(sides.prod(axis=1)),
        "size, share of the image's side": np.sqrt(sides.prod(axis=1) / area),
        "width / height": sides[:, 0] / sides[:, 1],
    }
    for name, label in (("scores", "score"), ("levels", "level")):
        if name in proposals.columns:
            parts = [proposals.column(name, int(image)) for image in images]
            values[label] = np.concatenate([part for part in parts if part is not None])
    return values


def statistics(proposals: ProposalStore, most: int = 20_000) -> str:
    """A table a person reads: quantiles of the boxes' numbers, sizes, shapes and scores."""
    images = sample_images(proposals, most)
    lines = [f"{proposals.num_boxes} proposals in {len(proposals)} images"]
    if len(images) < len(proposals):
        lines[0] += f" (the rest of this table: of {len(images)} of them)"
    empty = int((proposals.counts == 0).sum())
    lines.append(f"{empty} images without a proposal, {sum(1 for _ in proposals.skipped())} skipped")
    lines.append(f"{'':33}{'mean':>9}" + "".join(f"{f'{quantile:.0%}':>9}" for quantile in QUANTILES))
    for label, values in box_values(proposals, images).items():
        cells = [np.nanmean(values), *np.nanquantile(values, QUANTILES)] if len(values) else []
        lines.append(f"{label:33}" + "".join(f"{cell:>9.3g}" for cell in cells))
    if proposals.num_clusters:
        sizes = np.bincount(np.maximum(proposals.columns["clusters"], 0), minlength=proposals.num_clusters)
        lines.append(f"{proposals.num_clusters} clusters of {sizes.min()} to {sizes.max()} proposals")
    return "\n".join(lines)


def draw_statistics(proposals: ProposalStore, covered: Coverage | None, width: int = 1292) -> np.ndarray:
    """Recall over the number of boxes (where there are true boxes) and histograms, as a BGR picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    values = box_values(proposals, sample_images(proposals))
    panels = (["recall"] if covered else []) + list(values)
    columns = 3
    rows = -(-len(panels) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(width / 100, 3 * rows), dpi=100, squeeze=False)
    for axis, label in zip(axes.flat, panels, strict=False):
        _curves(axis, covered) if covered and label == "recall" else _histogram(axis, label, values[label])
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    figure.tight_layout()
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    pyplot.close(figure)
    return np.ascontiguousarray(pixels[..., ::-1])


def curve_coverage(proposals: ProposalStore, truth: LabelFile) -> Coverage:
    """Coverage at every budget of the curve."""
    return coverage(proposals, truth, CURVE)


def _curves(axis: Any, covered: Coverage) -> None:
    for iou, style in ((0.5, "-"), (0.7, "--")):
        axis.plot(covered.budgets, covered.recall(iou), style, label=f"recall, IoU {iou}")
    axis.plot(covered.budgets, covered.average_recall(), ":", label="AR .5:.95")
    axis.set(xscale="log", ylim=(0, 1), xlabel="boxes per image")
    axis.set_title(f"{len(covered.areas)} true boxes in {covered.images} images", fontsize=9)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)


def _histogram(axis: Any, label: str, values: np.ndarray) -> None:
    values = values[np.isfinite(values)]
    if label == "width / height":
        axis.hist(values, bins=np.logspace(-1, 1, 41))
        axis.set_xscale("log")
    else:
        axis.hist(values, bins=40)
    axis.set_title(label, fontsize=9)
    axis.set_yticks([])


def stack(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures one below the other, filled with white to one width."""
    width = max(picture.shape[1] for picture in pictures)
    pads = [((0, 0), (0, width - picture.shape[1]), (0, 0)) for picture in pictures]
    return np.concatenate(
        [np.pad(p, pad, constant_values=255) for p, pad in zip(pictures, pads, strict=True)]
    )


def write_page(out: Path, title: str, texts: Sequence[str], pictures: Sequence[np.ndarray]) -> None:
    """One HTML file that needs no other: tables as text, pictures inside.

    Raises:
        OSError: the folder is missing or not writable.
    """
    body = [f"<h1>{html.escape(title)}</h1>"]
    body += [f"<pre>{html.escape(text)}</pre>" for text in texts]
    for picture in pictures:
        data = base64.b64encode(cv2.imencode(".png", picture)[1].tobytes()).decode()
        body.append(f'<img alt="" style="max-width:100%" src="data:image/png;base64,{data}">')
    head = f'<!doctype html><meta charset="utf-8"><title>{html.escape(title)}</title>'
    style = "<style>body{font-family:sans-serif;margin:2em}pre{background:#f4f4f4;padding:1em}</style>"
    write_text(out, "\n".join([head, style, *body]))
