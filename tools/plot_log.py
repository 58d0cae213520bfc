"""Plot what runs logged: one panel per value, one line per run.

python tools/plot_log.py work_dirs/a work_dirs/b --out curves.png --keys loss loss_contrast
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aligndet.visualization.curves import find_scalars, losses, plot_curves, read_curves


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, help="work dirs (their latest run) or scalars.json files"
    )
    parser.add_argument("--out", type=Path, required=True, help="picture to write (.png)")
    parser.add_argument("--keys", nargs="+", help="values to plot (default: every loss)")
    parser.add_argument("--smooth", type=int, default=1, help="mean over this many log entries")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        runs = {str(run): read_curves(find_scalars(run)) for run in args.runs}
        plot_curves(runs, args.keys or losses(runs), args.out, args.smooth)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, curves in runs.items():
        ends = [
            f"{key} {curves[key][1][0]:.4g} -> {curves[key][1][-1]:.4g}"
            for key in losses(runs)
            if key in curves
        ]
        print(f"{name}: {', '.join(ends)}")
    print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
