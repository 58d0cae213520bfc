"""``aligndet show features``: what a backbone's features know of labelled boxes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from aligndet.cli import options, paths, values
from aligndet.cli.silence import libraries_silent
from aligndet.common.errors import InputError

if TYPE_CHECKING:
    from mmengine.config import Config

    from aligndet.evaluation.probe import Crops, Score

SUMMARY = "ask a backbone's features for the class of labelled boxes: neighbours and a linear layer"
EXAMPLES = """
aligndet show features detector.py --train train.json --val val.json --images photos/ --weights backbone.pth
Compares backbones on the same crops in a minute; does not replace fine-tuning. --weights is repeatable.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The config, the boxes to learn from and to ask for, the weights."""
    add = parser.add_argument
    add("config", type=paths.config, metavar="CONFIG", help=options.CONFIG_HELP)
    options.add(parser, "--train", required=True)
    options.add(parser, "--val", required=True)
    options.add(parser, "--images", required=True)
    options.add(parser, "--allow-outside")
    options.add(parser, "--train-images")
    options.add(parser, "--val-images")
    options.add(parser, "--weights", "repeatable", action="append", default=[])
    add("--random", action="store_true", help="also the backbone with random weights")
    add("--side", type=values.positive, default=128, metavar="PIXELS", help="of a crop (default 128)")
    options.add(parser, "--min-side", "default 32", default=32.0)
    add("--least", type=values.positive, default=10, metavar="N", help="boxes of a class (default 10)")
    options.add(parser, "--max-boxes")
    add("-k", type=values.positive, default=20, metavar="N", help="neighbours that vote (default 20)")
    options.add(parser, "--seed")
    options.add(parser, "--trust")
    options.add(parser, "--cfg-options")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print both probes of every backbone."""
    starts: list[str | None] = [None] * args.random + args.weights
    if not starts:
        raise InputError("nothing to ask: give --weights, --random, or both")
    with libraries_silent(args):
        results = _probes(args, starts)
    for name, scores in results.items():
        for kind, value in scores.items():
            print(f"{name}: {kind}: {value.top1:.1%} of boxes, {value.balanced:.1%} averaged over classes")
    return results


def _probes(args: argparse.Namespace, starts: list[str | None]) -> dict[str, dict[str, Score]]:
    """Probe every backbone on the same crops."""
    from aligndet.evaluation.probe import read_crops
    from aligndet.training.config import load_config

    cfg = load_config(args.config, options.cfg_options(args))
    _say_fit(args)
    choice = (args.side, args.min_side, args.max_boxes, args.seed)
    crops = (
        read_crops(args.train, args.train_images or args.images, *choice),
        read_crops(args.val, args.val_images or args.images, *choice),
    )
    return {start or "random": _probe(cfg, start, crops, args) for start in starts}


def _say_fit(args: argparse.Namespace) -> None:
    """Say how labels fit their images, and which images stand in both sets."""
    from aligndet.common.fit_of_labels import check_fit
    from aligndet.common.labels.reader import read_labels
    from aligndet.common.leaks import ImageSet, find_leak
    from aligndet.common.notices import warn

    sets = []
    for name in ("train", "val"):
        option, file = f"--{name}", getattr(args, name)
        place = getattr(args, f"{name}_images") or args.images
        labels = read_labels(file, place)
        print(check_fit(labels, place, option, f"{option}-images").line())
        sets.append(ImageSet(f"{option} {file}", place, labels.names))
    if text := find_leak(sets[1], sets[0], near=False).text():
        warn(f"{text}: shares of these are too high")


def _probe(
    cfg: Config, weights: str | None, crops: tuple[Crops, Crops], args: argparse.Namespace
) -> dict[str, Score]:
    """Probe one backbone: with these weights, or as its config initialises it."""
    import torch

    from aligndet.evaluation.probe import probe
    from aligndet.image_domain.backbones import build_backbone, starts_pretrained
    from aligndet.image_domain.convert import convert
    from aligndet.image_domain.normalisation import IMAGENET, normalisation_of
    from aligndet.image_domain.sources import load_source

    torch.manual_seed(args.seed)
    used = normalisation_of(cfg)
    if weights is None:
        backbone = build_backbone(cfg, initialise=not starts_pretrained(cfg))
    else:
        backbone, source = build_backbone(cfg), load_source(weights)
        backbone.load_state_dict(convert(source, backbone).state, strict=False)
        used = source.normalisation or used
    return probe(backbone, *crops, used or IMAGENET, args.least, args.k)
