"""``aligndet show neighbours``: which boxes a trained InsLoc thinks alike."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from aligndet.cli import options, paths, values
from aligndet.cli.silence import libraries_silent

if TYPE_CHECKING:
    import numpy as np

    from aligndet.image_domain.methods.insloc.embed import Windows

SUMMARY = "draw boxes beside their nearest neighbours in InsLoc's embedding"
EXAMPLES = """
aligndet show neighbours work_dirs/insloc_r18_fpn_folder neighbours.png --val val.json --images photos/
Left of the bar the box asked for, right of it the nearest boxes of other images.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The checkpoint, the picture, the boxes, and how many are shown."""
    add = parser.add_argument
    add("checkpoint", type=paths.weights_file, metavar="CHECKPOINT", help="work dir or checkpoint of InsLoc")
    add("out", type=paths.picture_out, metavar="OUT", help=options.PICTURE_HELP)
    options.add(parser, "--val", "proposals in COCO json do as well", required=True)
    options.add(parser, "--images", "of its file names", required=True)
    options.add(parser, "--allow-outside")
    add("--rows", type=values.positive, default=8, metavar="N", help="boxes to ask for (default 8)")
    add("--neighbours", type=values.positive, default=6, metavar="N", help="of each box (default 6)")
    options.add(parser, "--max-boxes", "among which neighbours are looked for; default 500", default=500)
    options.add(parser, "--min-side", "default 32", default=32.0)
    options.add(parser, "--seed")
    options.add(parser, "--trust")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Embed the boxes, draw, say how many neighbours share a class."""
    with libraries_silent(args):
        windows, embeddings = _embedded(args)
    import numpy as np

    from aligndet.visualization.drawing import write_image
    from aligndet.visualization.neighbours import draw_neighbours, nearest

    every = np.arange(len(embeddings))
    shares: dict[str, float] = {}
    if len(set(windows.names)) > 1:
        shares = _same_class(windows, nearest(embeddings, every, args.neighbours, windows.images))
    queries = np.random.default_rng(args.seed).permutation(every)[: args.rows]
    rows = nearest(embeddings, queries, args.neighbours, windows.images)
    write_image(draw_neighbours(windows.pixels, queries, rows, windows.names), str(args.out))
    print(f"wrote {args.out}")
    return {"out": args.out, "boxes": len(every), **shares}


def _embedded(args: argparse.Namespace) -> tuple[Windows, np.ndarray]:
    """Squares around the boxes, and their (n, D) embeddings."""
    from aligndet.common.fit_of_labels import check_fit
    from aligndet.common.labels.reader import read_labels
    from aligndet.image_domain.methods.insloc.embed import embed_boxes, load_insloc, read_windows

    print(check_fit(read_labels(args.val, args.images, proposals=True), args.images, "--val").line())
    model, side = load_insloc(args.checkpoint)
    windows = read_windows(args.val, args.images, side, args.max_boxes, args.min_side, args.seed)
    return windows, embed_boxes(model, windows)


def _same_class(windows: Windows, neighbours: np.ndarray) -> dict[str, float]:
    from aligndet.visualization.neighbours import same_class

    hit, chance = same_class(windows.names, neighbours)
    print(f"{hit:.1%} of neighbours are of their box's class; {chance:.1%} of all boxes are")
    return {"same_class": hit, "same_class_by_chance": chance}
