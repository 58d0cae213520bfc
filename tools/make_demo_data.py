"""Generate the demo data set: textured objects of eight classes on cluttered grounds, with boxes.

    python tools/make_demo_data.py OUT [--images 300] [--size 256] [--seed 0]

writes OUT/images/<split>/*.jpg and OUT/annotations/<split>.json for train, val, test and unlabelled.
"""

import argparse
import sys
from pathlib import Path

import aligndet  # noqa: F401
from aligndet.demo import SPLITS, split_counts, write_dataset


def main(argv: list[str] | None = None) -> int:
    """Run the tool."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("out", type=Path, help="folder to write into")
    shares = ", ".join(f"{share:.0%} {name}" for name, share in SPLITS.items()).replace("%", "%%")
    parser.add_argument("--images", type=int, default=300, help=f"all images ({shares}; default %(default)s)")
    for split in SPLITS:
        parser.add_argument(f"--{split}", type=int, metavar="N", help="instead of its share")
    parser.add_argument("--size", type=int, default=256, help="side in pixels (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of everything (default %(default)s)")
    args = parser.parse_args(argv)
    given = {split: getattr(args, split) for split in SPLITS if getattr(args, split) is not None}
    try:
        counts = {**split_counts(args.images), **given}
        write_dataset(args.out, counts, args.size, args.seed)
    except (OSError, ValueError) as error:
        parser.exit(2, f"make_demo_data: {error}\n")
    print(f"{args.out}: " + ", ".join(f"{count} {split}" for split, count in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
