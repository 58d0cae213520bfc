"""``aligndet show composites``: what InsLoc sees."""

from __future__ import annotations

import argparse
from typing import Any

from aligndet.cli import options, paths, values
from aligndet.cli.silence import libraries_silent

SUMMARY = "draw InsLoc's composites: true boxes green, boxes of the augmentation orange"
EXAMPLES = """
aligndet show composites aligndet::image_domain/insloc_r50_fpn_200e_imagenet.py composites.png --cfg-options train_dataloader.dataset.data_root=photos/
"""  # noqa: E501


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The config, the picture, and what is drawn."""
    parser.add_argument("config", type=paths.config, metavar="CONFIG", help=options.CONFIG_HELP)
    parser.add_argument("out", type=paths.picture_out, metavar="OUT", help=options.PICTURE_HELP)
    options.add(parser, "--count", "default 6", default=6)
    options.add(parser, "--columns", "pairs of views; default 2", default=2)
    more = "augmented boxes to draw per image (default 5)"
    parser.add_argument("--augmented", type=values.whole, default=5, metavar="N", help=more)
    options.add(parser, "--seed")
    options.add(parser, "--cfg-options")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Draw and write."""
    with libraries_silent(args):
        from aligndet.training.config import load_config
        from aligndet.visualization.composites import draw_training_composites
        from aligndet.visualization.drawing import write_image

        config = load_config(args.config, options.cfg_options(args))
        picture = draw_training_composites(config, args.count, args.columns, args.augmented, args.seed)
        write_image(picture, str(args.out))
    print(f"wrote {args.out}")
    return {"out": args.out}
