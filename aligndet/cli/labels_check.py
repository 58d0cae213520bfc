"""``aligndet labels check``: what labels hold and what is wrong with them."""

from __future__ import annotations

import argparse
from typing import Any

from aligndet.cli import options, paths
from aligndet.cli.failure import CommandFailedError

SUMMARY = "say what labels hold, what is mended, left out and refused, and how they fit their images"
EXAMPLES = """
aligndet labels check train.json
aligndet labels check train.json --images photos/ --page look.html     (sizes of all images; boxes drawn)
aligndet labels check yolo/data.yaml --split val
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The labels, the folder of their images, and the page."""
    parser.add_argument("labels", type=paths.existing, metavar="LABELS", help=options.LABELS_HELP)
    options.add(parser, "--images", "compares the size of each")
    options.add(parser, "--allow-outside")
    options.add(parser, "--split")
    text = "page (.html) or picture to write: boxes drawn on some images"
    parser.add_argument("--page", type=paths.page_out, metavar="FILE", help=text)
    options.add(parser, "--count", "drawn; default 12", default=12)


def run(args: argparse.Namespace) -> Any:
    """Print the report, and draw.

    Raises:
        CommandFailedError: something in the labels is refused.
    """
    from aligndet.labels.report import check_labels

    check = check_labels(args.labels, args.images, args.split)
    print(check)
    if args.page and (folder := args.images or check.labels.folder):
        from aligndet.visualization.labels import show_labels

        show_labels(check, folder, args.page, args.count)
        print(f"wrote {args.page}")
    if check.faults:
        count = len(check.faults)
        text = f"{args.labels}: {count} fault{'s' if count > 1 else ''}, the first: {check.faults[0]}"
        raise CommandFailedError(check, text, status=2)
    return check
