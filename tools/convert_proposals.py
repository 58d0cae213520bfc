"""Convert proposal files into each other, and merge them.

    python tools/convert_proposals.py proposals.json OUT            COCO json -> store
    python tools/convert_proposals.py STORE out.json                store -> COCO json
    python tools/convert_proposals.py soco.json OUT --images DIR    SoCo json (has no image sizes) -> store
    python tools/convert_proposals.py proposals.pkl OUT --images DIR [--order instances.json]
    python tools/convert_proposals.py STORE STORE STORE OUT         merge

Read: proposal stores, COCO json (the official AlignDet filtered_proposals too), SoCo's json, mmdet's proposal
pickles. Boxes are taken as they are; to filter and rank them, use tools/make_proposals.py --backend file.
"""

import argparse
import sys
from pathlib import Path

import aligndet  # noqa: F401
from aligndet.proposals.convert import convert
from aligndet.proposals.engines import usable_cores


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("source", type=Path, nargs="+", help="proposals of any kind; several are merged")
    add("out", type=Path, help="store to write, or COCO json if it ends in .json")
    add("--images", type=Path, help="folder of the images: sizes are read from them")
    add("--order", type=Path, help="COCO json whose images an mmdet 2.x pickle follows")
    add("--workers", type=int, default=usable_cores(), help="processes that open images (default: all cores)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        print(convert(args.source, args.out, args.images, args.order, args.workers))
    except (OSError, ValueError) as error:
        print(f"convert_proposals: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
