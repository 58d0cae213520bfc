"""The answer for people: Markdown table with verdicts, and a plot of scores by label fraction."""

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aligndet.common.files import write_bytes, write_text
from aligndet.common.tables import markdown_table
from aligndet.comparison.metrics import main_metric, metric_names
from aligndet.comparison.results import Arm, Results


def _header(baseline: str) -> list[str]:
    main, *others = metric_names()
    return [
        "labels",
        "start",
        f"{main} ± std",
        *others,
        "seeds",
        "lr",
        f"{main} - {baseline} [95 % CI]",
        "verdict",
    ]


def _row(results: Results, arm: Arm) -> list[str]:
    _, *others = metric_names()
    cells = [f"{arm.percent:g} %", arm.start]
    main = arm.spread()
    if main is None:
        return [*cells, "failed", *("" for _ in others), "0", f"{arm.lr:g}", "", ""]
    means = [over.mean for name in others if (over := arm.spread(name))]
    cells += [f"{main.mean:.2f} ± {main.std:.2f}", *(f"{mean:.2f}" for mean in means)]
    cells += [str(main.n), f"{arm.lr:g}{' (edge)' if arm.edge else ''}"]
    gain = arm.difference
    if gain is None:
        return [*cells, "", ""]
    interval = f" [{gain.low:+.2f}, {gain.high:+.2f}]" if gain.n > 1 else ""
    return [*cells, f"{gain.mean:+.2f}{interval}", results.verdict(arm)]


def to_markdown(results: Results) -> str:
    """Write table, notes and learning-rate search as Markdown."""
    names = ", ".join(metric_names())
    parts = [
        "# Did it help?",
        markdown_table(_header(results.baseline), [_row(results, arm) for arm in results.arms]),
    ]
    parts.append(
        f"{names}: COCO box measures in points (0..100), mean over seeds. Runs of equal seed share labels, "
        "data order and training seed; the interval is the paired t interval over seeds. *helped* and *hurt* "
        "mean that it excludes 0; under three seeds nothing is concluded."
    )
    if results.conditions:
        parts.append("\n".join(f"- {key}: {value}" for key, value in results.conditions.items()))
    if results.notes:
        parts.append("Notes:\n\n" + "\n".join(f"- {note}" for note in results.notes))
    if results.search:
        parts += [
            "## Learning-rate search",
            f"{main_metric()} in points on the images set aside for the choice.",
            _search(results),
        ]
    return "\n\n".join(parts) + "\n"


def _search(results: Results) -> str:
    lrs = sorted({entry["lr"] for entry in results.search}, reverse=True)
    cells: dict[tuple[float, str, int], dict[float, str]] = {}
    for entry in results.search:
        text = "failed" if entry["tune"] is None else f"{entry['tune']:.2f}"
        text += " (diverged)" if entry["diverged"] else ""
        cells.setdefault((entry["percent"], entry["start"], entry["seed"]), {})[entry["lr"]] = text
    rows = [
        [f"{percent:g} %", start, str(seed), *(by_lr.get(lr, "") for lr in lrs)]
        for (percent, start, seed), by_lr in cells.items()
    ]
    return markdown_table(["labels", "start", "seed", *(f"lr {lr:g}" for lr in lrs)], rows)


def plot(results: Results, path: Path) -> None:
    """Draw the mean of the deciding measure against the label fraction.

    Every seed is a dot, one standard deviation a bar.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    main = main_metric()
    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    names = list(dict.fromkeys(arm.start for arm in results.arms))
    for number, name in enumerate(names):
        arms = [arm for arm in results.arms if arm.start == name]
        _draw_start(axes, arms, f"C{number}", 1 + 0.03 * (number - (len(names) - 1) / 2))
    percents = sorted({arm.percent for arm in results.arms})
    axes.set(xscale="log", xlabel="labels used (%)", ylabel=f"{main} (points)")
    axes.set_title(f"Fine-tuned {main} by label fraction")
    axes.set_xticks(percents, [f"{percent:g}" for percent in percents])
    axes.minorticks_off()
    axes.set_xlim(percents[0] / 2, percents[-1] * 2)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, dpi=150, format="png")
    pyplot.close(figure)
    write_bytes(path, picture.getvalue())


def _draw_start(axes: Any, arms: Sequence[Arm], color: str, shift: float) -> None:
    """Draw the line of one start; ``shift`` times the percentage is where its marks stand."""
    shown = [(arm.percent * shift, arm, over) for arm in arms if (over := arm.spread())]
    x, means = [place for place, _, _ in shown], [over.mean for _, _, over in shown]
    bars, label = [over.std for _, _, over in shown], arms[0].start
    axes.errorbar(x, means, bars, color=color, marker="o", capsize=3, label=label)
    for place, arm, _ in shown:
        axes.scatter([place] * len(arm.ap), list(arm.ap.values()), color=color, s=10, alpha=0.4)


def write_report(results: Results, work_dir: Path) -> str:
    """Write ``results.json``, ``results.md`` and ``plot.png``; returns the Markdown."""
    text = to_markdown(results)
    data = results.to_json()
    write_text(work_dir / "results.json", json.dumps(_finite(data), indent=1))
    write_text(work_dir / "results.md", text)
    plot(results, work_dir / "plot.png")
    return text


def _finite(value: object) -> object:
    """Replace infinite bounds (of a single pair), which have no JSON form, by null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
