"""Show images with their proposals in a grid.

python tools/show_proposals.py proposals.json picture.png --images IMAGES
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from aligndet.visualization.drawing import write_image
from aligndet.visualization.proposals import draw_proposals


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("proposals", type=Path, help="proposal file (COCO json)")
    parser.add_argument("out", type=Path, help="picture to write (.png or .jpg)")
    parser.add_argument("--images", type=Path, required=True, help="folder its file names are relative to")
    parser.add_argument("--count", type=int, default=12, help="images to show")
    parser.add_argument("--boxes", type=int, default=30, help="boxes per image, at most")
    parser.add_argument("--columns", type=int, default=4, help="of the grid")
    parser.add_argument("--long-side", type=int, default=320, help="pixels of each image")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        proposals = json.loads(args.proposals.read_text())
        options = (args.count, args.boxes, args.columns, args.long_side, args.seed)
        write_image(draw_proposals(proposals, args.images, *options), str(args.out))
    except (OSError, ValueError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
