"""``aligndet proposals verify``: whether a store is as it was written."""

from __future__ import annotations

import argparse
from typing import Any

from aligndet.cli import paths
from aligndet.cli.failure import CommandFailedError

SUMMARY = "read a whole proposal store, compare it with its hashes, and name the images that are damaged"
EXAMPLES = """
aligndet proposals verify runs/photos/proposals
Damaged? The aligndet proposals make that made the store searches the damaged images again, and no others.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The store."""
    parser.add_argument("store", type=paths.folder, metavar="STORE", help="proposal store (a folder)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print its counts where every file is as it was written.

    Raises:
        CommandFailedError: a file is damaged.
    """
    from aligndet.proposals.integrity import DamagedStoreError
    from aligndet.proposals.store import ProposalStore, verify_store

    try:
        verify_store(args.store)
    except DamagedStoreError as error:
        raise CommandFailedError(error.damage, str(error), status=2) from error
    store = ProposalStore.open(args.store)
    skipped = sum(1 for _ in store.skipped())
    print(f"{args.store}: ok, {store.num_boxes} proposals in {len(store)} images, {skipped} images skipped")
    return {"store": args.store, "images": len(store), "boxes": store.num_boxes, "skipped": skipped}
