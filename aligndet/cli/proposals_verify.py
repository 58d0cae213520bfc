"""``aligndet proposals verify``: whether a store is as it was written."""

from __future__ import annotations

import argparse
from typing import Any

from aligndet.cli import paths

SUMMARY = "read a whole proposal store and compare it with the hashes it was written with"
EXAMPLES = "aligndet proposals verify runs/photos/proposals"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The store."""
    parser.add_argument("store", type=paths.folder, metavar="STORE", help="proposal store (a folder)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print its counts where every file is unchanged."""
    from aligndet.proposals.store import ProposalStore

    store = ProposalStore.open(args.store)
    store.verify()
    skipped = sum(1 for _ in store.skipped())
    print(f"{args.store}: ok, {store.num_boxes} proposals in {len(store)} images, {skipped} images skipped")
    return {"store": args.store, "images": len(store), "boxes": store.num_boxes, "skipped": skipped}
