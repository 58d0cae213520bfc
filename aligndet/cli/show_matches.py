"""``aligndet show matches``: which boxes the contrast learns from."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from aligndet.cli import options, paths
from aligndet.cli.silence import libraries_silent
from aligndet.common.errors import InputError

if TYPE_CHECKING:
    from mmengine.config import Config

SUMMARY = "draw which boxes of both views the detector's own matching gives slots to, and how many"
EXAMPLES = """
aligndet show matches aligndet::box_domain/retinanet_r50_fpn_1x_coco.py matches.png
aligndet show matches work/retinanet_aligndet.py matches.png --weights work/
A box is thick where it has slots in both views; the number in its corner counts the slots in this view.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The config, the picture, and what is drawn."""
    parser.add_argument("config", type=paths.config, metavar="CONFIG", help=options.CONFIG_HELP)
    parser.add_argument("out", type=paths.picture_out, metavar="OUT", help=options.PICTURE_HELP)
    options.add(parser, "--weights", "of this pre-training; default: random heads")
    options.add(parser, "--count", "default 4", default=4)
    options.add(parser, "--long-side", "of a pair of views; default 1000", default=1000)
    options.add(parser, "--seed")
    options.add(parser, "--trust")
    options.add(parser, "--cfg-options")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Draw, write, and say how many boxes have slots in both views."""
    with libraries_silent(args):
        from pathlib import Path

        from aligndet.transfer.source import read_checkpoint
        from aligndet.visualization.drawing import write_image
        from aligndet.visualization.matches import draw_training_matches

        weights = read_checkpoint(Path(args.weights)).state if args.weights else None
        config = _config(args, weights is not None)
        picture, counts = draw_training_matches(config, args.count, args.long_side, args.seed, weights)
        write_image(picture, str(args.out))
    pairs = list(zip(counts["online"], counts["momentum"], strict=True))
    matched = [len(set(online) & set(momentum)) for online, momentum in pairs]
    slots = [online.total() for online, _ in pairs]
    print(f"boxes with slots in both views: {matched}; slots of the online view: {slots}")
    print(f"wrote {args.out}")
    return {"out": args.out, "matched": matched, "slots": slots}


def _config(args: argparse.Namespace, trained: bool) -> Config:
    """The config of a pre-training; without weights of its own, nothing is downloaded for it."""
    from aligndet.training.config import load_config
    from aligndet.transfer.stock import without_downloads

    config = load_config(args.config, options.cfg_options(args))
    if not str((config.get("model") or {}).get("type", "")).endswith("BoxDomainPretrainer"):
        raise InputError(
            f"{args.config}: expected a box-domain pre-training config, such as aligndet train CONFIG "
            "--aligndet PROPOSALS --images DIR writes into its work dir"
        )
    config.model = without_downloads(config.model)
    return config
