"""``aligndet labels check``: what a label file holds and what is wrong with it."""

from __future__ import annotations

import argparse
from typing import Any

from aligndet.cli import options, paths
from aligndet.cli.failure import CommandFailedError

SUMMARY = "say what a label file holds: classes, boxes, and what could not be learnt from"
EXAMPLES = """
aligndet labels check train.json
aligndet labels check train.json --images photos/     (opens every image, compares sizes)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file, and the folder of its images."""
    parser.add_argument("labels", type=paths.file, metavar="FILE", help="COCO json")
    options.add(parser, "--images", "opens each")


def run(args: argparse.Namespace) -> Any:
    """Print the report.

    Raises:
        CommandFailedError: a fault in the labels.
    """
    from aligndet.labels.report import check_labels

    report = check_labels(args.labels, args.images)
    print(report)
    if report.faults:
        raise CommandFailedError(report)
    return report
