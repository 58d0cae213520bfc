"""The comparison from question to answer."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mmengine.config import Config

from aligndet.common.errors import InputError
from aligndet.comparison.execute import Command, Outcome, execute, run_command
from aligndet.comparison.plan import Planner, Run, choose_lrs
from aligndet.comparison.report import write_report
from aligndet.comparison.results import Results, gather
from aligndet.comparison.runs import base_config
from aligndet.comparison.settings import Settings, Start
from aligndet.comparison.starts import fit_start
from aligndet.comparison.status import Status
from aligndet.image_domain.normalisation import check_normalisation
from aligndet.labels.split import split_labels


def compare(settings: Settings, status: Status, command: Command = run_command) -> tuple[Results, str]:
    """Answer the question: search, train, score, compare, write the report into the work dir.

    Args:
        settings: the question.
        status: where progress is told.
        command: makes the process of a run; replaced in tests.

    Returns:
        The results and the report as Markdown.

    Raises:
        InputError: config, data or a checkpoint cannot answer the question.
        RuntimeError: not one run gave a result.
    """
    base, classes = base_config(settings)
    starts = tuple(_ready(start, base, settings, status) for start in settings.starts)
    settings = replace(settings, starts=starts)
    planner = Planner(settings, base, classes, _labels(settings))
    searched = _carry_out(planner.search(), settings, status, command)
    chosen = _chosen(searched, settings)
    finals = _carry_out(planner.final(chosen), settings, status, command)
    if all(outcome.error for outcome in [*searched, *finals]):
        first = next(iter([*searched, *finals]))
        raise RuntimeError(f"every run failed; the first, {first.run.title}: {first.error}")
    results = gather(finals, searched, settings, conditions_of(settings, base, classes))
    return results, write_report(results, settings.work_dir)


def _ready(start: Start, base: Config, settings: Settings, status: Status) -> Start:
    """A start whose checkpoint is checked against the detector and fits it.

    Raises:
        NormalisationError: its weights, or those of the config's backbone, are of another normalisation.
    """
    weights = {"load_from": start.checkpoint and str(start.checkpoint)}
    check_normalisation(Config({**base, **weights}))
    if start.checkpoint is None:
        return start
    path, report = fit_start(start.checkpoint, start.name, base.model, settings.work_dir / "starts")
    status.write(f"start {start.name}: {report}")
    return Start(start.name, path)


def _labels(settings: Settings) -> dict[tuple[float, int], Any]:
    """Draw the label fractions of every seed.

    Raises:
        InputError: a fraction without a single box; training on it would never start.
    """
    folds = range(1, settings.seeds + 1)
    out_dir = settings.work_dir / "labels"
    fractions = split_labels(settings.train.annotations, out_dir, sorted(settings.iters), folds)
    for fraction in fractions:
        if not fraction.num_boxes:
            raise InputError(
                f"{fraction.percent:g} % of {settings.train.annotations} is {fraction.num_images} images "
                f"without a box (fold {fraction.fold}); use a larger --percent"
            )
    return {(fraction.percent, fraction.fold): fraction.labeled for fraction in fractions}


def _carry_out(runs: Sequence[Run], settings: Settings, status: Status, command: Command) -> list[Outcome]:
    return execute(runs, settings.jobs, settings.threads, status, settings.keep_checkpoints, command)


def _chosen(searched: Sequence[Outcome], settings: Settings) -> dict[tuple[str, float], float]:
    """Learning rates by (start, percentage): searched, or the only one there is."""
    if len(settings.lrs) < 2:
        arms = [(start.name, percent) for start in settings.starts for percent in settings.iters]
        return dict.fromkeys(arms, settings.lrs[0])
    return choose_lrs((o.run, o.metrics["tune"]["AP"]) for o in searched if not o.error)


def conditions_of(settings: Settings, base: Config, classes: tuple[str, ...]) -> dict[str, Any]:
    """What was equal for all starts, for the report."""
    optimizer = base.optim_wrapper.optimizer.type
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
