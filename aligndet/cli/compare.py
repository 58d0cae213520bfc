"""``aligndet compare``: did pre-training help?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligndet.cli import options, paths, values
from aligndet.cli.silence import libraries_silent

if TYPE_CHECKING:
    from aligndet.comparison.settings import Settings

SUMMARY = "fine-tune from several starts under equal conditions: did pre-training help?"
EXAMPLES = """
aligndet compare my_detector.py --start random= --start aligndet=detector.pth --train train.json --val val.json --images photos/
aligndet compare my_detector.py --start random= --start aligndet=detector.pth --train train.json --val val.json --images photos/ --percent 1 10 100 --iters 1:100 10:300 100:900 --seeds 3 --lr 0.02 0.01 0.005 --out runs/compared
Interrupted? The same command goes on.
"""  # noqa: E501
#: Words that mean the same to the comparison.
SETTINGS = (
    *("train", "val", "images", "train_images", "val_images", "search_on", "percent", "iters", "lr"),
    *("workers", "loaders", "threads", "seeds", "search_seeds", "batch", "schedule"),
    *("save_every", "keep_checkpoints", "nan_patience", "freeze_backbone", "imports", "allow_leak", "out"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The config, the starts, the data, the budget, and how runs share the machine."""
    add = parser.add_argument
    add("config", type=paths.config, metavar="CONFIG", help=options.CONFIG_HELP)
    add(
        "--start",
        type=start,
        action="append",
        required=True,
        metavar="NAME=FILE",
        help="weights of a detector, pre-training or backbone; NAME= is a random neck and head (repeatable)",
    )
    options.add(parser, "--train", "all of them; fractions are drawn", required=True)
    options.add(parser, "--val", required=True)
    options.add(parser, "--images")
    options.add(parser, "--train-images")
    options.add(parser, "--val-images")
    add(
        "--search-on",
        default="half",
        metavar="half|val|LABELS",
        help="where learning rates are chosen: 'half' of --val, AP is reported on the other (default); "
        "'val', the same images AP is reported on; or other labels over --val-images",
    )
    options.add(parser, "--percent", "default 1 10 100")
    options.add(parser, "--seeds")
    text = "seeds on which every learning rate is tried (default 1)"
    add("--search-seeds", type=values.positive, default=1, metavar="N", help=text)
    options.add(parser, "--lr")
    more = "of each run, or PERCENT:N for each fraction; default 1000"
    options.add(parser, "--iters", more, type=iterations, nargs="+", default=["1000"])
    options.add(parser, "--batch", "default: the config's")
    add("--schedule", choices=("step", "cosine"), default="step", help="of the learning rate (default step)")
    options.add(parser, "--workers", "runs; default 1", default=1)
    add("--threads", type=values.positive, default=1, metavar="N", help="CPU threads of each run (default 1)")
    text = "data loading processes of each run (default 0: the run itself)"
    add("--loaders", type=values.whole, default=0, metavar="N", help=text)
    text = "iterations between resumable checkpoints (default: a quarter)"
    add("--save-every", type=values.positive, metavar="N", help=text)
    add("--keep-checkpoints", action="store_true", help="keep the last checkpoint of each run")
    text = "train neck and heads only, for every start (cheaper)"
    add("--freeze-backbone", action="store_true", help=text)
    options.add(parser, "--nan-patience")
    options.add(parser, "--out", "default work_dirs/compare", default=Path("work_dirs/compare"))
    options.add(parser, "--max-bad")
    options.add(parser, "--allow-outside")
    options.add(parser, "--allow-leak")
    options.add(parser, "--dry-run")
    options.add(parser, "--trust")
    options.add(parser, "--cfg-options")


def start(text: str) -> str:
    """``NAME=FILE``, the file checked, or ``NAME=``."""
    name, equals, file = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected NAME=FILE, or NAME= for no weights, got {text!r}")
    return f"{name}={paths.weights_file(file)}" if file else text


def iterations(text: str) -> str:
    """``N`` or ``PERCENT:N``."""
    percent, colon, count = text.rpartition(":")
    if colon:
        values.percentage(percent)
    values.positive(count)
    return text


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Compare and print the report, or print the runs that there would be."""
    with libraries_silent(args):
        from aligndet.common.configs import read_model

        read_model(args.config)  # before mmdet is loaded
        from aligndet.comparison.compare import compare
        from aligndet.comparison.question import make_settings
        from aligndet.comparison.report import write_report
    from aligndet.common.console import Console

    given = {name: getattr(args, name) for name in SETTINGS}
    settings = make_settings(args.config, args.start, cfg_options=options.cfg_options(args), **given)
    if args.dry_run:
        runs = planned_runs(settings)
        print("\n".join([*runs, f"{len(runs)} runs, {args.workers} at the same time; nothing was done"]))
        return {"runs": runs}
    results = compare(settings, Console(args.quiet, args.verbose))
    print(write_report(results, args.out))
    print(f"wrote {args.out}/results.md, results.json, plot.png")
    return results.to_json()


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
