"""From the plain values of a call or command line to :class:`Settings`, all of them checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from aligndet.common.configs import locate_config, read_config
from aligndet.common.errors import InputError
from aligndet.comparison.runs import class_names
from aligndet.comparison.settings import EvalSet, Settings, Start, parse_iters, parse_start
from aligndet.labels.split import split_halves

_GRID = (2.0, 1.0, 0.5, 0.25)


def default_lrs(config: Config, batch: int | None) -> tuple[float, ...]:
    """2, 1, 1/2 and 1/4 of the config's rate, scaled to the batch as ``--auto-scale-lr`` does."""
    rate = float(config.optim_wrapper.optimizer.lr)
    base = config.get("auto_scale_lr", {}).get("base_batch_size")
    if base:
        rate *= (batch or config.train_dataloader.batch_size) / base
    return tuple(float(f"{rate * factor:.3g}") for factor in _GRID)


def evaluation_sets(val: Path, images: Path, search_on: str, out: Path) -> tuple[EvalSet, EvalSet]:
    """The sets to report on and to choose the learning rate on.

    Args:
        val: labels. images: their folder.
        search_on: ``half`` cuts ``val`` into two, ``val`` takes it for both, else other labels.
        out: folder of the comparison; halves are written below it.
    """
    if search_on == "val":
        return EvalSet(val, images), EvalSet(val, images)
    if search_on == "half":
        tune, report = split_halves(val, out / "labels")
        return EvalSet(report, images), EvalSet(tune, images)
    if not Path(search_on).is_file():
        raise InputError(
            f"--search-on {search_on}: expected half, val or a label file; there is no such file"
        )
    return EvalSet(val, images), EvalSet(Path(search_on), images)


def make_settings(
    config: str,
    starts: Sequence[str],
    train: Path,
    val: Path,
    images: Path,
    out: Path,
    *,
    train_images: Path | None = None,
    val_images: Path | None = None,
    search_on: str = "half",
    percent: Sequence[float] = (1, 10, 100),
    iters: Sequence[str | int] = (1000,),
    lr: Sequence[float] | None = None,
    workers: int = 1,
    loaders: int = 0,
    cfg_options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Settings:
    """Check the values of a comparison and put them together.

    Args:
        config: fine-tune config, a file or ``mmdet::folder/name.py``.
        starts: ``NAME=FILE``, or ``NAME=`` for a random neck and head.
        train, val: labels; images, train_images, val_images: folders of their images.
        out: folder of everything that is written.
        search_on: where learning rates are chosen, see :func:`evaluation_sets`.
        percent: label fractions. iters: ``N``, or ``PERCENT:N`` for each fraction.
        lr: rates to try; None: :func:`default_lrs`.
        workers: runs at the same time. loaders: data loading processes of each run.
        cfg_options: put over the config.
        settings: ``seeds``, ``search_seeds``, ``batch``, ``schedule``, ``threads``, ``save_every``,
            ``keep_checkpoints``, ``freeze_backbone`` of :class:`Settings`.

    Raises:
        InputError: names the option and what was expected.
    """
    arms = _arms(starts)
    by_percent = parse_iters([str(count) for count in iters], percent)
    folders = (train_images or images, val_images or images)
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"there is no image folder {folder}")
    stock = read_config(config)
    stock.merge_from_dict(dict(cfg_options or {}))
    rates = tuple(sorted(set(lr), reverse=True)) if lr else default_lrs(stock, settings.get("batch"))
    searched = [Path(search_on)] if Path(search_on).is_file() else []
    class_names(train, val, *searched)  # before anything is written
    report, tune = evaluation_sets(val, folders[1], search_on if len(rates) > 1 else "val", out)
    return Settings(
        config=locate_config(config),
        starts=arms,
        train=EvalSet(train, folders[0]),
        report=report,
        tune=tune,
        work_dir=out,
        iters=by_percent,
        lrs=rates,
        workers=loaders,
        jobs=workers,
        cfg_options=dict(cfg_options or {}),
        **settings,
    )


def planned_runs(settings: Settings) -> list[str]:
    """Say in a line for each run what would be trained; a rate to be chosen is left open."""
    search = len(settings.lrs) > 1
    seeds = range(min(settings.search_seeds, settings.seeds)) if search else ()
    lines = [
        f"search: {start.name}, {percent:g} % of the labels, lr {lr:g}, seed {seed}, {iters} iterations"
        for percent, iters in sorted(settings.iters.items())
        for seed in seeds
        for lr in settings.lrs
        for start in settings.starts
    ]
    rate = "the best lr" if search else f"lr {settings.lrs[0]:g}"
    return lines + [
        f"compare: {start.name}, {percent:g} % of the labels, {rate}, seed {seed}, {iters} iterations"
        for percent, iters in sorted(settings.iters.items())
        for seed in range(settings.seeds)
        for start in settings.starts
    ]


def _arms(starts: Sequence[str]) -> tuple[Start, ...]:
    arms = tuple(parse_start(text) for text in starts)
    names = [arm.name for arm in arms]
    if len(set(names)) != len(names):
        raise InputError(f"--start: every start needs its own name, got {', '.join(names)}")
    return arms
