"""How well proposals cover true boxes: recall at 10 to 1000 boxes per image, average recall by object size.

python tools/eval_proposals.py PROPOSALS instances.json [--budgets 10 50 100] [--json OUT.json]
"""

import argparse
import sys
from pathlib import Path

import aligndet  # noqa: F401
from aligndet.evaluation.recall import BUDGETS, coverage, write_numbers
from aligndet.proposals.formats import KINDS, read_proposals


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("proposals", type=Path, help=KINDS)
    parser.add_argument("truth", type=Path, help="labelled COCO json; crowd boxes are left out")
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS, help="boxes per image")
    parser.add_argument("--order", type=Path, help="COCO json whose images an mmdet 2.x pickle follows")
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        found = coverage(read_proposals(args.proposals, args.order), read_proposals(args.truth), args.budgets)
        if args.json:
            write_numbers(found, args.json)
    except (OSError, ValueError) as error:
        print(f"eval_proposals: {error}", file=sys.stderr)
        return 2
    print(found.table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
