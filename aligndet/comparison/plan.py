"""Which runs answer the question: first the learning-rate search, then all seeds at the rate chosen.

A run's folder is named by a hash of everything that decides its outcome, with files taken by content, so
that the same question asked again finds its answer, and a changed one does not find a stale answer.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from aligndet.common.files import content_hash, write_json, write_text
from aligndet.comparison.run_config import run_config
from aligndet.comparison.settings import EvalSet, Settings, Start

_NOT_DECISIVE = ("work_dir", "default_hooks", "log_processor", "visualizer", "vis_backends", "compare_eval")


@dataclass(frozen=True)
class Run:
    """Describes one fine-tune.

    Attributes:
        start, percent, seed, lr: what it is; ``seed`` counts from 0.
        iters: its training length.
        folder: where its files are.
        evaluates: evaluation sets by name, each the content hash of its annotation file.
        config: all of it, as mmengine runs it.
    """

    start: str
    percent: float
    seed: int
    lr: float
    iters: int
    folder: Path
    evaluates: dict[str, str] = field(hash=False)
    config: Config | None = field(default=None, hash=False, compare=False)

    @property
    def title(self) -> str:
        """Name the run for status lines."""
        return f"{self.start} {self.percent:g}% lr {self.lr:g} seed {self.seed}"


@lru_cache(maxsize=1024)
def _hash_of(path: str, mtime: float, size: int) -> str:
    return content_hash(Path(path))


def file_hash(path: str | Path) -> str:
    """Hash a file's content, once per version of it."""
    status = Path(path).stat()
    return _hash_of(str(path), status.st_mtime, status.st_size)


def by_content(value: Any) -> Any:
    """Replace every string that names an existing file by its content hash."""
    if isinstance(value, dict):
        return {str(key): by_content(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [by_content(item) for item in value]
    if isinstance(value, str) and len(value) < 4096 and "\n" not in value and Path(value).is_file():
        return f"sha256:{file_hash(value)}"
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def run_key(config: Config) -> str:
    """Hash what decides a run's outcome, whatever its files are called."""
    decisive = {key: value for key, value in config.to_dict().items() if key not in _NOT_DECISIVE}
    text = json.dumps(by_content(decisive), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Planner:
    """Makes runs from a prepared question.

    Attributes:
        settings: the question.
        base: config with classes and options put in.
        classes: class names of the data.
        labels: label files by (percentage, fold).
    """

    settings: Settings
    base: Config
    classes: tuple[str, ...]
    labels: dict[tuple[float, int], Path]

    def run(self, start: Start, percent: float, seed: int, lr: float, sets: dict[str, EvalSet]) -> Run:
        """Make one run with its config and folder, and write nothing."""
        iters = self.settings.iters[percent]
        labels = self.labels[percent, seed + 1]
        config = run_config(
            self.base, self.classes, self.settings, labels, iters, lr, seed, start.checkpoint, sets
        )
        name = f"{start.name}-{percent:g}pct-lr{lr:g}-s{seed}-{run_key(config)}"
        evaluates = {key: file_hash(value.annotations) for key, value in sets.items()}
        folder = self.settings.work_dir / "runs" / name
        return Run(start.name, percent, seed, lr, iters, folder, evaluates, config)

    def search(self) -> list[Run]:
        """Make a run for every rate of the grid, start, fraction and search seed; none for one rate."""
        ask = self.settings
        if len(ask.lrs) < 2:
            return []
        sets = {"tune": ask.tune, "report": ask.report}
        return [
            self.run(start, percent, seed, lr, sets)
            for percent in sorted(ask.iters)
            for seed in range(min(ask.search_seeds, ask.seeds))
            for lr in ask.lrs
            for start in ask.starts
        ]

    def final(self, chosen: dict[tuple[str, float], float]) -> list[Run]:
        """Make a run for every seed, start and fraction at its chosen rate; pairs stand side by side."""
        ask = self.settings
        return [
            self.run(start, percent, seed, chosen[start.name, percent], {"report": ask.report})
            for percent in sorted(ask.iters)
            for seed in range(ask.seeds)
            for start in ask.starts
            if (start.name, percent) in chosen
        ]


def choose_lrs(scored: Iterable[tuple[Run, float]]) -> dict[tuple[str, float], float]:
    """Choose the rate with the best mean tune AP for each (start, percentage), the lower one on a tie.

    Args:
        scored: finished search runs, each with its AP on the tune set.
    """
    by_arm: dict[tuple[str, float], dict[float, list[float]]] = {}
    for run, ap in scored:
        by_arm.setdefault((run.start, run.percent), {}).setdefault(run.lr, []).append(ap)
    return {
        arm: max(rates, key=lambda lr, rates=rates: (sum(rates[lr]) / len(rates[lr]), -lr))  # type: ignore[misc]
        for arm, rates in by_arm.items()
    }


def at_edge(lr: float, lrs: Sequence[float]) -> bool:
    """Tell whether the chosen rate is the lowest or highest of several: the best may lie outside."""
    return len(lrs) > 1 and lr in (min(lrs), max(lrs))


def write_run(run: Run) -> None:
    """Put a run's files where its process looks for them; a finished result stays."""
    from aligndet.common.config_text import config_text

    if run.config is None:
        raise ValueError(f"{run.folder}: this run has no config to write")
    run.folder.mkdir(parents=True, exist_ok=True)
    write_text(run.folder / "config.py", config_text(run.config))
    write_json(run.folder / "request.json", {"evaluates": run.evaluates}, indent=1)
