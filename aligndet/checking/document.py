"""The table as a Markdown document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from aligndet.checking.row import NO_DETECTOR, NOT_MMDET, OK, REFUSED, STATUSES, UNREADABLE, Row
from aligndet.common.files import write_text

_HEAD = """# Coverage: every config of mmdet, tried

Written by `{command}`.

Each distinct model of the installed mmdet's configs takes the path of `aligndet train CONFIG --aligndet`: the
wrapped config is written and read back, its runner is built with the config's own loader, preprocessor and
batch augmentation, it takes two steps on generated images and proposals (a batch of two, a batch of one;
random weights, CPU), and its checkpoint is exported and loaded into the unmodified stock detector. A row is
*ok* if the detector's own losses are finite, `loss_contrast` is positive, some slots belong to instances,
every trainable tensor of neck and heads gets a gradient and every part one that is not zero, the frozen
backbone gets none and is bit for bit the same afterwards (norm statistics too), and if the export loads with
no tensor missing but those of classifiers and every tensor as training left it.

Configs with the same model, up to pixel statistics and weights to download, share a row. Nothing is reduced
in depth or width; the short side of views is {sizes}, the next where training fails at one (too few cells
for a detector's queries or feature levels), and a batch that is filled up to a size shrinks with them.
Distillation configs are compared with their student. Every row is of the present source.

- px: 0 is the config's own size;
- losses: sum of the detector's own; slots, positives: of one view; contrast: `loss_contrast`; all of the
  first step;
- kept: tensors of the stock detector that come from pre-training; missing: those of classifiers; initial:
  those of parts that pre-training leaves out (masks, semantics, points), at the stock detector's values;
- seconds: of the processor, for the whole check.
"""

#: Of configs that are no box detector, or that nobody could try.
OTHERS = (REFUSED, NOT_MMDET, NO_DETECTOR, UNREADABLE)

_NUMBERS = ("slots", "positives", "contrast", "losses", "kept", "missing", "initial", "seconds")


def write_document(
    rows: Iterable[Row],
    path: Path,
    command: str,
    versions: Mapping[str, str],
    sizes: Iterable[int | None],
    left: int = 0,
) -> None:
    """Write the document atomically.

    Args:
        rows: in any order. path: of the document.
        command: that writes it. versions: of what was tried.
        sizes: short sides of views that were tried, pixels; None is the config's own.
        left: models that were not tried.
    """
    tried = [f"{size} px" if size else "the config's own" for size in sizes]
    head = _HEAD.format(command=command, sizes=", ".join(tried))
    write_text(path, "\n".join([head, *document(list(rows), versions, left)]))


def document(rows: list[Row], versions: Mapping[str, str], left: int = 0) -> list[str]:
    """Lines of the document below its introduction."""
    rows = sorted(rows, key=lambda row: row.config)
    boxes = [row for row in rows if row.status not in OTHERS]
    others = [row for row in rows if row not in boxes]
    lines = [
        *totals(rows, left),
        "",
        "Versions: " + ", ".join(f"{k} {v}" for k, v in versions.items()) + ".",
        "",
    ]
    lines += ["## Box detectors", "", *table(boxes), "", "## Others", "", *other_table(others), ""]
    return [*lines, "## Configs that share a row", "", *shared(rows), ""]


def totals(rows: list[Row], left: int = 0) -> list[str]:
    """How many models and configs have which status."""
    models = Counter(row.status for row in rows)
    configs: Counter[str] = Counter()
    for row in rows:
        configs[row.status] += 1 + len(row.same)
    lines = ["| status | models | configs | meaning |", "|---|---:|---:|---|"]
    for status, meaning in STATUSES.items():
        if models[status]:
            lines.append(f"| {status} | {models[status]} | {configs[status]} | {meaning} |")
    lines.append(f"| all | {len(rows)} | {sum(configs.values())} | |")
    tried = sum(models[status] for status in models if status not in OTHERS)
    lines += ["", f"Of {tried} distinct box detectors {models[OK]} are ok."]
    if left:
        lines += [
            "",
            f"{left} models are not in the table: they were not tried since the source was last changed.",
        ]
    return lines


def table(rows: list[Row]) -> list[str]:
    """Box detectors, a row each, under the name of their folder."""
    lines = [
        "| config | head | adapter | px | " + " | ".join(_NUMBERS) + " | status |",
        "|---|---|---|---:|" + "---:|" * len(_NUMBERS) + "---|",
    ]
    for row in rows:
        config = row.config + (f" (+{len(row.same)})" if row.same else "")
        status = cell(f"**{row.status}**: {row.reason}" if row.reason else row.status)
        numbers = " | ".join(number(getattr(row, name)) for name in _NUMBERS)
        cells = f"{config} | {row.detector}: {row.head} | {row.adapter} | {row.size} | {numbers} | {status}"
        lines.append(f"| {cells} |")
    return lines


def other_table(rows: list[Row]) -> list[str]:
    """Models that are not pre-trained: one row for all that are refused for the same reason."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        groups.setdefault((row.status, row.detector, row.reason), []).extend([row.config, *row.same])
    lines = ["| status | detector | configs | such as | reason |", "|---|---|---:|---|---|"]
    for (status, detector, reason), configs in sorted(groups.items()):
        lines.append(f"| {status} | {detector} | {len(configs)} | {configs[0]} | {cell(reason)} |")
    return lines


def shared(rows: list[Row]) -> list[str]:
    """Which other configs a row speaks for."""
    return [f"- {row.config}: {', '.join(sorted(row.same))}" for row in rows if row.same and row.detector]


def number(value: float) -> str:
    """An integer as it is, another to four figures."""
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def cell(text: str) -> str:
    """Text that does not end a table's cell."""
    return text.replace("|", "\\|").replace("\n", " ")
