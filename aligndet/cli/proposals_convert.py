"""``aligndet proposals convert``: proposal files of other projects into a store, and back."""

from __future__ import annotations

import argparse
from typing import Any

from aligndet.cli import options, paths

SUMMARY = "convert proposal files of any kind into a store or COCO json, or merge several"
EXAMPLES = """
aligndet proposals convert proposals.json STORE
aligndet proposals convert STORE proposals.json
aligndet proposals convert soco.json STORE --images photos/         (SoCo's json has no image sizes)
aligndet proposals convert proposals.pkl STORE --images photos/ --order instances.json
aligndet proposals convert STORE1 STORE2 STORE3 MERGED
Boxes are taken as they are; to filter and rank them: aligndet proposals make ... --backend file
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sources, and what to write."""
    parser.add_argument(
        "sources", type=paths.existing, nargs="+", metavar="SOURCE", help=options.PROPOSALS_HELP
    )
    parser.add_argument("out", type=paths.out, metavar="OUT", help="store to write, or COCO json (.json)")
    options.add(parser, "--images", "sizes are read from them")
    options.add(parser, "--allow-outside")
    options.add(parser, "--order")
    options.add_workers(parser, "that open images")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print what was written."""
    from aligndet.proposals.convert import convert

    print(convert(args.sources, args.out, args.images, args.order, args.workers))
    return {"out": args.out, "sources": args.sources}
