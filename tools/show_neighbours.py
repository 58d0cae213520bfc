"""Show nearest neighbours of box embeddings: does InsLoc think alike what looks alike?

    python tools/show_neighbours.py work_dirs/insloc_r18_fpn_folder neighbours.png \
        --boxes val.json --images IMAGES/

Boxes of a COCO json (labels or proposals) are embedded by the query network, each in a square around it in
which it has the size of a training composite. Left of the bar the box asked for, right of it the nearest
boxes of other images. Where the file has several classes, the share of neighbours of the same class is
printed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import aligndet  # noqa: F401  (first: lets an mmcv without compiled ops run)
from aligndet.command import answer
from aligndet.image_domain.methods.insloc.embed import embed_boxes, load_insloc, read_windows
from aligndet.visualization.drawing import write_image
from aligndet.visualization.neighbours import draw_neighbours, nearest


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="work dir or checkpoint of InsLoc")
    parser.add_argument("out", type=Path, help="picture to write (.png or .jpg)")
    parser.add_argument("--boxes", type=Path, required=True, help="COCO json with boxes")
    parser.add_argument("--images", type=Path, required=True, help="folder of its images")
    parser.add_argument("--rows", type=int, default=8, help="boxes to ask for")
    parser.add_argument("--neighbours", type=int, default=6, help="neighbours of each")
    parser.add_argument("--limit", type=int, default=500, help="boxes among which to look")
    parser.add_argument("--min-side", type=float, default=32, help="smaller boxes are left out (pixels)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of boxes")
    return parser.parse_args(argv)


def same_class(names: list[str], queries: np.ndarray, found: np.ndarray) -> str:
    """How many neighbours share their query's class, beside what chance would give."""
    array = np.array(names)
    hit = (array[found] == array[queries][:, None]).mean()
    chance = np.mean([(array == array[query]).mean() for query in queries])
    return f"{hit:.1%} of neighbours are of their box's class; {chance:.1%} of all boxes are"


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)

    def work() -> str:
        model, side = load_insloc(args.source)
        windows = read_windows(args.boxes, args.images, side, args.limit, args.min_side, args.seed)
        embeddings = embed_boxes(model, windows)
        everyone = np.arange(len(embeddings))
        if len(set(windows.names)) > 1:
            found = nearest(embeddings, everyone, args.neighbours, windows.images)
            print(same_class(windows.names, everyone, found))
        queries = np.random.default_rng(args.seed).permutation(everyone)[: args.rows]
        found = nearest(embeddings, queries, args.neighbours, windows.images)
        write_image(draw_neighbours(windows.pixels, queries, found, windows.names), str(args.out))
        return f"wrote {args.out}"

    return answer(work)


if __name__ == "__main__":
    sys.exit(main())
