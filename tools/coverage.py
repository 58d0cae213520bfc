"""Try box-domain pre-training on the configs of the installed mmdet, and write what came of it.

    python tools/coverage.py                     one config per family: detector class and head classes
    python tools/coverage.py --all --jobs 2      every distinct model; writes docs/coverage.md
    python tools/coverage.py --config atss/atss_r50_fpn_1x_coco.py my_config.py

Each is checked in a process of its own: a training step on generated images, and the export into the stock
detector. Rows are kept in the work dir and reused until a version or the source changes, so a run that was
ended goes on. Ends with 1 if a box detector failed. --config does not write a document unless --out is given.
"""

if __name__ == "coverage":  # numba asks for the package of this name, and tools/ is first on the path
    raise ImportError("this is a tool of AlignDet and not the package coverage")

import aligndet  # noqa: F401, I001  first: makes mmcv importable where it has no compiled ops

import argparse
import functools
import shlex
import signal
import sys
from pathlib import Path

from aligndet.checking import document, kinds, run, zoo
from aligndet.checking.check import SIZES
from aligndet.checking.journal import versions
from aligndet.checking.row import FAILED, Row
from aligndet.proposals.engines import usable_cores


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--config", nargs="+", help="configs, as named in mmdet's folder, or files")
    which.add_argument("--all", action="store_true", help="every distinct model of the zoo")
    add("--jobs", type=int, default=1, help="processes at a time; they share the cores")
    add("--limit", type=float, default=900, help="seconds per model")
    add("--out", type=Path, help="document (--all: docs/coverage.md; families: coverage.md in the work dir)")
    add("--work-dir", type=Path, default=Path("work_dirs/coverage"), help="rows and failures are kept here")
    add("--again", action="store_true", help="try models that failed again, though nothing changed")
    add("--stale", action="store_true", help="keep rows of an earlier state of the source")
    return parser.parse_args(argv)


def chosen(args: argparse.Namespace) -> list[zoo.Model]:
    """The models that were asked for."""
    if args.config:
        return kinds.group(zoo.describe(name) for name in args.config)
    models = run.read_zoo(args.work_dir)
    return kinds.kinds_first(models) if args.all else kinds.one_per_kind(models)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    threads = max(1, usable_cores() // args.jobs) if args.jobs > 1 else 0
    options = run.Options(args.work_dir, args.jobs, threads, args.limit, args.again, args.stale)
    models = chosen(args)
    rows: list[Row] = []
    try:
        for row in run.run(models, options, functools.partial(print, flush=True)):
            rows.append(row)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
    out = args.out or (Path("docs") if args.all else args.work_dir) / "coverage.md"
    if rows and (args.out or not args.config):
        command = shlex.join(["python", "tools/coverage.py", *(argv if argv is not None else sys.argv[1:])])
        document.write_document(rows, out, command, versions(), SIZES, len(models) - len(rows))
        print(f"written: {out}")
    print("\n".join(document.totals(rows, len(models) - len(rows))))
    return int(any(row.status == FAILED for row in rows))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the document is written however it ends
    sys.exit(main())
