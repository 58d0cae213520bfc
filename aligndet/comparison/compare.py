"""The comparison from question to answer."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mmengine.config import Config

from aligndet.common.console import Console
from aligndet.common.work_dir import locked
from aligndet.comparison.execute import Command, Outcome, execute, run_command
from aligndet.comparison.inputs import check_images, cut_val, draw_labels, ready_start, sound_sets
from aligndet.comparison.leaks import guard
from aligndet.comparison.metrics import main_metric
from aligndet.comparison.plan import Planner, Run, choose_lrs
from aligndet.comparison.results import Results, gather
from aligndet.comparison.run_config import base_config
from aligndet.comparison.settings import Settings
from aligndet.comparison.status import Status
from aligndet.scopes import scope_of


def compare(settings: Settings, console: Console | None = None, command: Command = run_command) -> Results:
    """Answer the question: check, search, train, score, compare; :func:`.report.write_report` writes it down.

    Args:
        settings: the question.
        console: where progress is told.
        command: makes the process of a run; replaced in tests.

    Raises:
        InputError: config, data or a checkpoint cannot answer the question, or another comparison works in
            the folder; no run was started.
        Stopped: a signal asked to end; the runs saved.
        RuntimeError: not one run gave a result.
    """
    status = Status(console)
    settings, planner = prepare(settings, status.console)
    with locked(settings.work_dir, "--out"):
        searched = _run_all(planner.search(), settings, status, command)
        finals = _run_all(planner.final(_chosen(searched, settings)), settings, status, command)
    if all(outcome.error for outcome in [*searched, *finals]):
        first = next(iter([*searched, *finals]))
        raise RuntimeError(f"every run failed; the first, {first.run.title}: {first.error}")
    return gather(finals, searched, settings, conditions_of(settings, planner.base, planner.classes))


def prepare(settings: Settings, console: Console) -> tuple[Settings, Planner]:
    """Check everything, fit the starts and draw the labels: all that comes before the first run.

    Raises:
        InputError: see :func:`compare`.
    """
    settings = sound_sets(settings)
    base, classes = base_config(settings)
    check_images(settings, console)
    settings = cut_val(guard(settings, console))
    starts = []
    with scope_of(base):
        for start in settings.starts:
            ready, covers = ready_start(start, base, settings)
            console.say(f"start {start.name}: {covers}")
            starts.append(ready)
    settings = replace(settings, starts=tuple(starts))
    return settings, Planner(settings, base, classes, draw_labels(settings))


def _run_all(runs: Sequence[Run], settings: Settings, status: Status, command: Command) -> list[Outcome]:
    return execute(runs, settings.workers, settings.threads, status, settings.keep_checkpoints, command)


def _chosen(searched: Sequence[Outcome], settings: Settings) -> dict[tuple[str, float], float]:
    """Learning rates by (start, percentage): searched, or the only one there is."""
    if len(settings.lrs) < 2:
        arms = [(start.name, percent) for start in settings.starts for percent in settings.iters]
        return dict.fromkeys(arms, settings.lrs[0])
    return choose_lrs((o.run, o.metrics["tune"][main_metric()]) for o in searched if not o.error)


def conditions_of(settings: Settings, base: Config, classes: tuple[str, ...]) -> dict[str, Any]:
    """Say what was equal for all starts, for the report."""
    kind = base.optim_wrapper.optimizer.type
    optimizer = getattr(kind, "__name__", kind)
    batch = settings.batch or base.train_dataloader.batch_size
    search_seeds = min(settings.search_seeds, settings.seeds)
    iters = ", ".join(f"{count} at {percent:g} %" for percent, count in sorted(settings.iters.items()))
    frozen = ", backbone frozen" if settings.freeze_backbone else ""
    rates = ", ".join(f"{lr:g}" for lr in settings.lrs)
    if len(settings.lrs) > 1:
        rates += f", chosen on {settings.tune.annotations.name} with {search_seeds} seed(s)"
    return {
        "config": str(settings.config),
        "classes": ", ".join(classes[:10]) + (f", ... ({len(classes)})" if len(classes) > 10 else ""),
        "training": f"{optimizer}, {iters} iterations of {batch} images, {settings.schedule}{frozen}",
        "learning rates": rates,
        "reported on": settings.report.annotations.name,
    }
