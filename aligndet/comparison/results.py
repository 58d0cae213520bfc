"""The answer as data: per fraction and start the scores, and the paired difference to the baseline."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from aligndet.comparison.execute import Outcome
from aligndet.comparison.metrics import main_metric, metric_names
from aligndet.comparison.plan import at_edge
from aligndet.comparison.settings import Settings
from aligndet.comparison.statistics import PairedDifference, Spread, paired_difference, spread

#: Put behind a verdict on images that were trained on.
LEAKED = " (on leaked images)"


@dataclass(frozen=True)
class Arm:
    """Holds the scores of one start at one label fraction.

    Attributes:
        start, percent: which.
        lr: the chosen learning rate. edge: it is at the end of the grid.
        scores: points (0..100) by measure (:data:`.metrics.METRICS`) and seed.
        diverged, failed: seeds that diverged (AP 0) and seeds without a result.
        difference: points of the deciding measure over the baseline, by pairs of equal seed; None for the
            baseline itself, or without a common seed.
    """

    start: str
    percent: float
    lr: float
    edge: bool
    scores: dict[str, dict[int, float]]
    diverged: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    difference: PairedDifference | None = None

    @property
    def ap(self) -> dict[int, float]:
        """Give the points of the deciding measure by seed."""
        return self.scores[main_metric()]

    def spread(self, metric: str = "") -> Spread | None:
        """Summarise a measure (the deciding one) over seeds; None when every seed failed."""
        values = self.scores[metric or main_metric()]
        return spread(list(values.values())) if values else None


@dataclass(frozen=True)
class Results:
    """Holds all arms by fraction, the search behind them and what a reader must be told.

    Attributes:
        leak: images reported on that were trained on, in words; empty for none.
    """

    baseline: str
    arms: tuple[Arm, ...]
    search: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    conditions: dict[str, Any] = field(default_factory=dict)
    leak: str = ""

    def verdict(self, arm: Arm) -> str:
        """Give the verdict on an arm with a difference; it says where it rests on leaked images."""
        assert arm.difference is not None
        return arm.difference.verdict + (LEAKED if self.leak else "")

    def to_json(self) -> dict[str, Any]:
        """Give plain data for ``results.json``."""
        arms = []
        for arm in self.arms:
            entry = asdict(arm)
            entry |= {name: spread.mean for name in arm.scores if (spread := arm.spread(name))}
            if arm.difference:
                del entry["difference"]["best"]
                entry["difference"]["verdict"] = self.verdict(arm)
            arms.append(entry)
        return {
            "baseline": self.baseline,
            "metrics": metric_names(),
            "unit": "points, 0..100",
            "conditions": self.conditions,
            "notes": list(self.notes),
            "leak": self.leak,
            "arms": arms,
            "search": list(self.search),
        }


def _points(outcomes: Sequence[Outcome], metric: str) -> dict[int, float]:
    return {o.run.seed: 100 * o.metrics["report"][metric] for o in outcomes if not o.error}


def make_arm(outcomes: Sequence[Outcome], settings: Settings) -> Arm:
    """Gather the runs of one start at one fraction; the difference is not yet known."""
    run = outcomes[0].run
    return Arm(
        start=run.start,
        percent=run.percent,
        lr=run.lr,
        edge=at_edge(run.lr, settings.lrs),
        scores={name: _points(outcomes, name) for name in metric_names()},
        diverged=tuple(o.run.seed for o in outcomes if o.diverged),
        failed=tuple(o.run.seed for o in outcomes if o.error),
    )


def with_difference(arm: Arm, baseline: Arm | None) -> Arm:
    """Add the paired difference over the seeds that both arms finished."""
    if baseline is None or baseline.start == arm.start:
        return arm
    seeds = sorted(arm.ap.keys() & baseline.ap.keys())
    if not seeds:
        return arm
    ours, theirs = ([one.ap[seed] for seed in seeds] for one in (arm, baseline))
    return replace(arm, difference=paired_difference(ours, theirs))


def notes_on(arms: Sequence[Arm], settings: Settings) -> list[str]:
    """List what a reader must be told: edges of the grid, divergence, failures, shared data."""
    notes = [f"{settings.leak}. This comparison says nothing about new images."] if settings.leak else []
    for arm in arms:
        where = f"{arm.start} at {arm.percent:g} %"
        if arm.edge:
            notes.append(f"{where}: the chosen rate {arm.lr:g} is at the edge of the grid; widen --lr.")
        if arm.diverged:
            notes.append(f"{where}: diverged with seeds {list(arm.diverged)}; counted as AP 0.")
        if arm.failed:
            notes.append(f"{where}: no result for seeds {list(arm.failed)}; see their log.txt.")
    for percent in sorted({arm.percent for arm in arms}):
        if not any(value for arm in arms if arm.percent == percent for value in arm.ap.values()):
            zero = f"{percent:g} %: {main_metric()} is 0 for every start"
            notes.append(f"{zero}; train longer (--iters), this tells nothing.")
    if len(settings.lrs) > 1 and settings.tune.annotations == settings.report.annotations:
        notes.append("Rates were chosen on the images that AP is reported on, for all starts alike.")
    return notes


def gather(
    finals: Sequence[Outcome], searched: Sequence[Outcome], settings: Settings, conditions: dict[str, Any]
) -> Results:
    """Turn outcomes into results."""
    groups: dict[tuple[float, str], list[Outcome]] = {}
    for outcome in finals:
        groups.setdefault((outcome.run.percent, outcome.run.start), []).append(outcome)
    plain = {key: make_arm(group, settings) for key, group in groups.items()}
    name = settings.baseline.name
    arms = tuple(with_difference(arm, plain.get((arm.percent, name))) for arm in plain.values())
    search = tuple(
        {
            "start": o.run.start,
            "percent": o.run.percent,
            "seed": o.run.seed,
            "lr": o.run.lr,
            "tune": None if o.error else 100 * o.metrics["tune"][main_metric()],
            "diverged": o.diverged,
        }
        for o in searched
    )
    return Results(name, arms, search, tuple(notes_on(arms, settings)), conditions, settings.leak)
