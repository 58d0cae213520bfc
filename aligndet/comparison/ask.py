"""From command-line words to :class:`Settings`."""

from argparse import Namespace
from pathlib import Path

from mmengine.config import Config

from aligndet.common.errors import InputError
from aligndet.comparison.settings import EvalSet, Settings, parse_iters, parse_start
from aligndet.labels.split import split_halves

_GRID = (2.0, 1.0, 0.5, 0.25)


def default_lrs(config: Config, batch: int | None) -> tuple[float, ...]:
    """2, 1, 1/2 and 1/4 of the config's rate, scaled to the batch as ``--auto-scale-lr`` does."""
    rate = float(config.optim_wrapper.optimizer.lr)
    base = config.get("auto_scale_lr", {}).get("base_batch_size")
    if base:
        rate *= (batch or config.train_dataloader.batch_size) / base
    return tuple(float(f"{rate * factor:.3g}") for factor in _GRID)


def evaluation_sets(args: Namespace) -> tuple[EvalSet, EvalSet]:
    """The sets to report on and to choose the learning rate on, as ``--search-on`` says."""
    images = args.val_images or args.images
    for folder in (args.images, images):
        if not folder.is_dir():
            raise InputError(f"there is no image folder {folder}")
    if args.search_on == "val":
        return EvalSet(args.val, images), EvalSet(args.val, images)
    if args.search_on == "half":
        tune, report = split_halves(args.val, args.work_dir / "labels")
        return EvalSet(report, images), EvalSet(tune, images)
    return EvalSet(args.val, images), EvalSet(Path(args.search_on), images)


def settings_from_args(args: Namespace) -> Settings:
    """Read and check the words of ``tools/prove.py``.

    Raises:
        InputError: names the option and what was expected.
    """
    starts = tuple(parse_start(text) for text in args.start)
    names = [start.name for start in starts]
    if len(set(names)) != len(names):
        raise InputError(f"--start: every start needs its own name, got {names}")
    if min(args.seeds, args.search_seeds, args.jobs, args.threads) < 1:
        raise InputError("--seeds, --search-seeds, --jobs and --threads must be at least 1")
    config = Config.fromfile(args.config)
    config.merge_from_dict(args.cfg_options)
    several = args.lr is None or len(args.lr) > 1
    if not several:
        args.search_on = "val"
    report, tune = evaluation_sets(args)
    return Settings(
        config=args.config,
        starts=starts,
        train=EvalSet(args.train, args.images),
        report=report,
        tune=tune,
        work_dir=args.work_dir,
        iters=parse_iters(args.iters, args.percent),
        lrs=tuple(sorted(set(args.lr), reverse=True)) if args.lr else default_lrs(config, args.batch),
        seeds=args.seeds,
        search_seeds=args.search_seeds,
        batch=args.batch,
        schedule=args.schedule,
        workers=args.workers,
        threads=args.threads,
        jobs=args.jobs,
        save_every=args.save_every,
        keep_checkpoints=args.keep_checkpoints,
        freeze_backbone=args.freeze_backbone,
        cfg_options=dict(args.cfg_options),
    )
