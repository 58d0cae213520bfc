"""Curves of what a run logged (mmengine's ``vis_data/scalars.json``: one json object per line)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from aligndet.common.errors import InputError

Curves = dict[str, tuple[list[float], list[float]]]


def read_run(run: Path) -> Curves:
    """Curves of a run: of every session of it, where it was resumed; a later session's step counts.

    Args:
        run: work dir of mmengine, a folder in it, an out folder of ``pretrain`` (its ``metrics.jsonl``), or
            one file of these.

    Raises:
        InputError: nothing is logged there.
    """
    merged: dict[str, dict[float, float]] = {}
    for file in find_scalars(run):
        for name, (steps, values) in read_curves(file).items():
            merged.setdefault(name, {}).update(zip(steps, values, strict=True))
    if not merged:
        raise InputError(f"{run}: no line of numbers with a step in it; expected what a run logged")
    return {
        name: (sorted(points), [points[step] for step in sorted(points)]) for name, points in merged.items()
    }


def find_scalars(run: Path) -> list[Path]:
    """The files a run logged to, oldest session first.

    Raises:
        InputError: there is none.
    """
    if run.is_file():
        return [run]
    files = sorted(run.glob("**/vis_data/scalars.json")) or sorted(run.glob("metrics.jsonl"))
    if not files:
        raise InputError(f"{run} has no vis_data/scalars.json: has the run logged anything yet?")
    return files


def read_curves(path: Path) -> Curves:
    """Name -> (steps, values) of every number logged with a step; a half-written last line is passed over."""
    curves: Curves = {}
    for line in path.read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        for name, value in entry.items():
            if name != "step" and "step" in entry and isinstance(value, (int, float)):
                steps, values = curves.setdefault(name, ([], []))
                steps.append(float(entry["step"]))
                values.append(float(value))
    return curves


def smooth(values: Sequence[float], window: int) -> np.ndarray:
    """Mean over up to ``window`` values that end at each position; not-a-number is left out of the mean."""
    array = np.asarray(values, dtype=np.float64)
    parts = [array[max(0, end - window) : end] for end in range(1, len(array) + 1)]
    return np.array([np.nanmean(part) if not np.isnan(part).all() else np.nan for part in parts])


def plot_curves(runs: Mapping[str, Curves], keys: Sequence[str], out: Path, window: int = 1) -> None:
    """One panel per key, one line per run, as PNG.

    Raises:
        InputError: no run has any of the keys.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [key for key in keys if any(key in curves for curves in runs.values())]
    if not shown:
        logged = sorted({key for curves in runs.values() for key in curves})
        raise InputError(f"nothing to plot: no run logged {', '.join(keys)}; logged: {', '.join(logged)}")
    figure, panels = pyplot.subplots(1, len(shown), figsize=(5 * len(shown), 3.6), squeeze=False)
    for panel, key in zip(panels[0], shown, strict=True):
        for name, curves in runs.items():
            if key in curves:
                steps, values = curves[key]
                panel.plot(steps, smooth(values, window), label=name)
        panel.set(title=key, xlabel="step")
        panel.grid(alpha=0.3)
    panels[0][0].legend()
    figure.tight_layout()
    figure.savefig(out, dpi=110)
    pyplot.close(figure)


def losses(runs: Mapping[str, Curves]) -> list[str]:
    """What is plotted by default: ``loss`` first, then every other loss that any run logged."""
    others = sorted({key for curves in runs.values() for key in curves if "loss" in key and key != "loss"})
    return ["loss", *others]
