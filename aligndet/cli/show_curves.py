"""``aligndet show curves``: what runs logged."""

from __future__ import annotations

import argparse
from typing import Any

from aligndet.cli import options, paths, values

SUMMARY = "plot what runs logged: one panel per value, one line per run"
EXAMPLES = """
aligndet show curves work_dirs/a work_dirs/b curves.png --keys loss loss_contrast
aligndet show curves runs/photos/metrics.jsonl curves.png --smooth 10
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The runs, the picture, and what is drawn."""
    add = parser.add_argument
    add(
        "runs", type=paths.existing, nargs="+", metavar="RUN", help="work dirs, scalars.json or metrics.jsonl"
    )
    add("out", type=paths.picture_out, metavar="OUT", help=options.PICTURE_HELP)
    add("--keys", nargs="+", metavar="KEY", help="values to plot (default: every loss)")
    add(
        "--smooth",
        type=values.positive,
        default=1,
        metavar="N",
        help="mean over this many log entries (default 1)",
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Plot, and print where each loss began and ended."""
    from aligndet.visualization.curves import losses, plot_curves, read_run

    runs = {str(run): read_run(run) for run in args.runs}
    plot_curves(runs, args.keys or losses(runs), args.out, args.smooth)
    ends: dict[str, dict[str, Any]] = {}
    for name, curves in runs.items():
        ends[name] = {key: (curves[key][1][0], curves[key][1][-1]) for key in losses(runs) if key in curves}
        told = [f"{key} {first:.4g} -> {last:.4g}" for key, (first, last) in ends[name].items()]
        print(f"{name}: {', '.join(told)}")
    print(f"wrote {args.out}")
    return {"out": args.out, "first_and_last": ends}
