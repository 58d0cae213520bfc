"""The measures that runs are compared by: one list, which scoring, results, table and plot follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Metric:
    """Defines one measure of a trained detector.

    Attributes:
        name: in results, tables and plots; higher is better.
        of: reads it, 0..1, from a finished ``pycocotools.cocoeval.COCOeval``; -1 where it is undefined.
    """

    name: str
    of: Callable[[Any], float]


#: The first decides: learning rates are chosen by it, and verdicts are on it. A measure more is a line more.
METRICS = [
    Metric("AP", lambda measured: measured.stats[0]),  # mean over IoU .50:.95
    Metric("AP50", lambda measured: measured.stats[1]),
]


def main_metric() -> str:
    """Name the measure that decides."""
    return METRICS[0].name


def metric_names() -> list[str]:
    """Name all measures, the deciding one first."""
    return [metric.name for metric in METRICS]
