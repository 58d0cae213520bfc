"""``aligndet proposals recall``: how well proposals cover true boxes."""

from __future__ import annotations

import argparse
from typing import Any

from aligndet.cli import options, paths, values

SUMMARY = "measure how well proposals cover labelled boxes: recall by budget, average recall by size"
EXAMPLES = """
aligndet proposals recall runs/photos/proposals val.json
aligndet proposals recall proposals.pkl val.json --order instances.json --budgets 10 100 --json recall.json
"""
BUDGETS = (10, 50, 100, 300, 1000)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two files, and the budgets."""
    parser.add_argument("proposals", type=paths.existing, metavar="PROPOSALS", help=options.PROPOSALS_HELP)
    text = f"{options.LABELS_HELP}; crowds are left out"
    parser.add_argument("labels", type=paths.existing, metavar="LABELS", help=text)
    parser.add_argument(
        "--budgets",
        type=values.positive,
        nargs="+",
        default=list(BUDGETS),
        metavar="N",
        help="boxes per image (default 10 50 100 300 1000)",
    )
    options.add(parser, "--order")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print the table."""
    from aligndet.common.labels.reader import read_labels
    from aligndet.evaluation.recall import coverage, numbers
    from aligndet.proposals.formats import read_proposals

    proposals = read_proposals(args.proposals, args.order)
    answer = coverage(proposals, read_labels(args.labels), args.budgets)
    print(answer.table())
    return numbers(answer)
