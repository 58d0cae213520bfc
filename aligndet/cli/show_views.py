"""``aligndet show views``: what box-domain pre-training sees."""

from __future__ import annotations

import argparse
from typing import Any

from aligndet.cli import options, paths
from aligndet.cli.silence import libraries_silent

SUMMARY = "draw both views of training images, one colour per instance, thin where unmatched"
EXAMPLES = """
aligndet show views aligndet::box_domain/retinanet_r50_fpn_1x_coco.py views.png --count 4
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The config, the picture, and what is drawn."""
    parser.add_argument("config", type=paths.config, metavar="CONFIG", help=options.CONFIG_HELP)
    parser.add_argument("out", type=paths.picture_out, metavar="OUT", help=options.PICTURE_HELP)
    options.add(parser, "--count", "default 4", default=4)
    options.add(parser, "--long-side", "of a pair of views; default 1000", default=1000)
    options.add(parser, "--seed")
    options.add(parser, "--cfg-options")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Draw and write."""
    with libraries_silent(args):
        from aligndet.training.config import load_config
        from aligndet.visualization.drawing import write_image
        from aligndet.visualization.views import draw_training_views

        config = load_config(args.config, options.cfg_options(args))
        picture = draw_training_views(config, args.count, args.long_side, args.seed)
        write_image(picture, str(args.out))
    print(f"wrote {args.out}")
    return {"out": args.out}
