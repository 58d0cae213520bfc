"""``aligndet check``: is this detector served, and if not, why?"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligndet.cli import options, values
from aligndet.cli.failure import CommandFailedError
from aligndet.cli.silence import libraries_silent
from aligndet.common.configs import locate_config
from aligndet.common.errors import InputError

if TYPE_CHECKING:
    from aligndet.checking.row import Row

SUMMARY = "say whether box-domain pre-training serves a detector: train two steps, export, load"
EXAMPLES = """
aligndet check my_detector.py
aligndet check mmdet::atss/atss_r50_fpn_1x_coco.py my_detector.py --import my_project.models
aligndet check my_detector.py --images photos/ --proposals proposals/       where its loader reads no PNG
aligndet check --zoo --workers 2                 one config per family of mmdet; coverage.md in --out
aligndet check --zoo --all --workers 2           every distinct model
Each CONFIG goes the way of `aligndet train CONFIG --aligndet`: the wrapped config is written and read back,
trains two steps on generated images that its own loader reads, and its export is loaded into the detector.
Exit status: 0 where every CONFIG is ok, else 1; with --zoo 1 where a detector that should be served is not.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Configs or the zoo, and how they are tried."""
    add = parser.add_argument
    add("configs", nargs="*", metavar="CONFIG", help=options.CONFIG_HELP)
    options.add(parser, "--images", "of --proposals; default: generated images")
    options.add(parser, "--allow-outside")
    options.add(parser, "--proposals", "default: generated ones")
    options.add(parser, "--cfg-options", "of the training")
    add("--zoo", action="store_true", help="the configs of the installed mmdet, one of each family")
    add("--all", action="store_true", help="with --zoo: every distinct model")
    options.add(parser, "--workers", "they share the cores; default 1", default=1)
    add("--limit", type=values.above_zero, default=900.0, metavar="SECONDS", help="a model's (default 900)")
    add("--again", action="store_true", help="with --zoo: try models that failed again, unchanged or not")
    more = "with --zoo; default work_dirs/coverage"
    options.add(parser, "--out", more, default=Path("work_dirs/coverage"))


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print one line for each config.

    Raises:
        InputError: the only config cannot be read, or has no model.
        CommandFailedError: a config is not ok.
    """
    if bool(args.configs) == args.zoo:
        raise InputError("give CONFIG... or --zoo, one of them; see aligndet check --help")
    if args.all and not args.zoo:
        raise InputError("--all goes with --zoo")
    if (args.images is None) != (args.proposals is None):
        raise InputError("--images and --proposals go together: images, and the proposals on them")
    if args.zoo and (args.images or args.cfg_options):
        raise InputError("--images, --proposals and --cfg-options go with CONFIG...; --zoo generates its own")
    args.workers = max(1, args.workers)
    return _zoo(args) if args.zoo else _configs(args)


def _configs(args: argparse.Namespace) -> dict[str, Any]:
    if len(args.configs) == 1:
        locate_config(args.configs[0])
    with libraries_silent(args) as screen:
        from aligndet.checking.check import Settings
        from aligndet.checking.configs import checked
        from aligndet.checking.data import Data
        from aligndet.checking.row import NO_DETECTOR, OK, UNREADABLE

        data = Data(args.images, args.proposals) if args.images else None
        overrides = options.cfg_options(args)
        settings = Settings(overrides, tuple(args.imports), data, threads=_threads(args))
        rows = []
        for row in checked(args.configs, settings, args.workers, args.limit):
            rows.append(row)
            if len(args.configs) == 1 and row.status in (NO_DETECTOR, UNREADABLE):
                raise InputError(f"config {row.config}: {row.reason}")
            print(_verdict(row), file=screen, flush=True)
    result = {"configs": [row.to_dict() for row in rows]}
    if any(row.status != OK for row in rows):
        raise CommandFailedError(result)
    return result


def _verdict(row: Row) -> str:
    from aligndet.checking.row import NOT_TRIED, OK, REFUSED

    if row.status == OK:
        numbers = f"{row.positives} of {row.slots} slots have an instance, {row.kept} tensors exported"
        note = f"; {row.note}" if row.note else ""
        return f"{row.config}: ok: {numbers}{note} ({row.seconds:.0f} s)"
    word = row.status if row.status in (REFUSED, NOT_TRIED) else "failed"
    return f"{row.config}: {word}: {row.reason}"


def _threads(args: argparse.Namespace) -> int:
    """CPU threads of each process; 0 leaves it to torch."""
    from aligndet.common.machine import usable_cores

    return max(1, usable_cores() // args.workers) if args.workers > 1 else 0


def _zoo(args: argparse.Namespace) -> dict[str, Any]:
    """Check models of mmdet; what is done when it is ended is in the document."""
    with libraries_silent(args) as screen:
        from aligndet.checking import document, kinds, run
        from aligndet.checking.row import FAILED

        def tell(text: str) -> None:
            print(text, file=screen, flush=True)

        models = run.read_zoo(args.out, tell)
        models = kinds.kinds_first(models) if args.all else kinds.one_per_kind(models)
        settings = run.Options(args.out, args.workers, _threads(args), args.limit, args.again)
        rows: list[Row] = []
        try:
            for row in run.run(models, settings, tell):
                rows.append(row)
        finally:
            if rows:
                tell(_write_document(rows, len(models) - len(rows), args))
    print("\n".join(document.totals(rows, len(models) - len(rows))))
    result = {"rows": [row.to_dict() for row in rows], "document": args.out / "coverage.md"}
    if any(row.status == FAILED for row in rows):
        raise CommandFailedError(result)
    return result


def _write_document(rows: list[Row], left: int, args: argparse.Namespace) -> str:
    from aligndet.checking import document
    from aligndet.checking.check import SIZES
    from aligndet.checking.journal import versions

    file = args.out / "coverage.md"
    document.write_document(rows, file, shlex.join(["aligndet", *args.words]), versions(), SIZES, left)
    return f"wrote {file}"
