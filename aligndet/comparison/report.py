"""The answer for people: Markdown table with verdicts, and a plot of AP against the label fraction."""

import json
import math
import os
from pathlib import Path

from aligndet.common.files import write_text
from aligndet.comparison.results import Arm, Results


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; columns are padded so that it also reads in a terminal."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(header), "|" + "|".join("-" * (w + 2) for w in widths) + "|", *map(line, rows)])


def _row(arm: Arm) -> list[str]:
    found = arm.spread
    if found is None:
        return [f"{arm.percent:g} %", arm.start, "failed", "", "0", f"{arm.lr:g}", "", ""]
    ap50 = math.fsum(arm.ap50.values()) / len(arm.ap50)
    gain = arm.difference
    cells = [f"{arm.percent:g} %", arm.start, f"{found.mean:.2f} ± {found.std:.2f}", f"{ap50:.2f}"]
    cells += [str(found.n), f"{arm.lr:g}{' (edge)' if arm.edge else ''}"]
    if gain is None:
        return [*cells, "", ""]
    interval = f" [{gain.low:+.2f}, {gain.high:+.2f}]" if gain.n > 1 else ""
    return [*cells, f"{gain.mean:+.2f}{interval}", gain.verdict]


def to_markdown(results: Results) -> str:
    """Table, notes, and the learning-rate search, as Markdown."""
    header = [
        "labels",
        "start",
        "AP ± std",
        "AP50",
        "seeds",
        "lr",
        f"AP - {results.baseline} [95 % CI]",
        "verdict",
    ]
    parts = ["# Did it help?", markdown_table(header, [_row(arm) for arm in results.arms])]
    parts.append(
        "AP and AP50 are COCO box AP in points (0..100), mean over seeds. Runs of equal seed share labels, "
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
            "AP in points on the images set aside for the choice.",
            _search(results),
        ]
    return "\n\n".join(parts) + "\n"


def _search(results: Results) -> str:
    lrs = sorted({entry["lr"] for entry in results.search}, reverse=True)
    cells: dict[tuple[float, str, int], dict[float, str]] = {}
    for entry in results.search:
        text = "failed" if entry["tune_AP"] is None else f"{entry['tune_AP']:.2f}"
        text += " (diverged)" if entry["diverged"] else ""
        cells.setdefault((entry["percent"], entry["start"], entry["seed"]), {})[entry["lr"]] = text
    rows = [
        [f"{percent:g} %", start, str(seed), *(by_lr.get(lr, "") for lr in lrs)]
        for (percent, start, seed), by_lr in cells.items()
    ]
    return markdown_table(["labels", "start", "seed", *(f"lr {lr:g}" for lr in lrs)], rows)


def plot(results: Results, path: Path) -> None:
    """Draw mean AP against the label fraction, every seed as a dot and one standard deviation as a bar."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    names = list(dict.fromkeys(arm.start for arm in results.arms))
    for number, name in enumerate(names):
        arms = [arm for arm in results.arms if arm.start == name and arm.spread]
        shift = 1 + 0.03 * (number - (len(names) - 1) / 2)
        x = [arm.percent * shift for arm in arms]
        found = [arm.spread for arm in arms if arm.spread]
        color = f"C{number}"
        bars = [s.std for s in found]
        axes.errorbar(x, [s.mean for s in found], bars, color=color, marker="o", capsize=3, label=name)
        for place, arm in zip(x, arms, strict=True):
            axes.scatter([place] * len(arm.ap), list(arm.ap.values()), color=color, s=10, alpha=0.4)
    percents = sorted({arm.percent for arm in results.arms})
    axes.set(
        xscale="log", xlabel="labels used (%)", ylabel="AP (points)", title="Fine-tuned AP by label fraction"
    )
    axes.set_xticks(percents, [f"{percent:g}" for percent in percents])
    axes.minorticks_off()
    axes.set_xlim(percents[0] / 2, percents[-1] * 2)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    temporary = path.with_name(f".{path.stem}.tmp.png")
    figure.savefig(temporary, dpi=150)
    pyplot.close(figure)
    os.replace(temporary, path)


def write_report(results: Results, work_dir: Path) -> str:
    """Write ``results.json``, ``results.md`` and ``plot.png``; returns the Markdown."""
    text = to_markdown(results)
    data = results.to_json()
    write_text(work_dir / "results.json", json.dumps(_finite(data), indent=1))
    write_text(work_dir / "results.md", text)
    plot(results, work_dir / "plot.png")
    return text


def _finite(value: object) -> object:
    """Infinite bounds (a single pair) have no JSON form; they become null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
