"""``aligndet labels convert``: labels into COCO json."""

from __future__ import annotations

import argparse
from typing import Any

from aligndet.cli import options, paths

SUMMARY = "write labels as COCO json and say what they hold (reads COCO json so far)"
EXAMPLES = "aligndet labels convert labels.json train.json --images photos/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The labels, the file to write, and the folder of the images."""
    parser.add_argument("source", type=paths.existing, metavar="SOURCE", help="labels (COCO json)")
    parser.add_argument("out", type=paths.json_out, metavar="OUT.json", help="COCO json to write")
    options.add(parser, "--images", "opens each and compares sizes")


def run(args: argparse.Namespace) -> Any:
    """Convert and print what the new file holds."""
    from aligndet.labels.convert import convert_labels
    from aligndet.labels.report import check_labels

    convert_labels(args.source, args.out)
    report = check_labels(args.out, args.images)
    print(report)
    print(f"wrote {args.out}")
    return report
