"""Ask a backbone's features for the class of labelled boxes: k nearest neighbours and a linear layer.

    python tools/probe_features.py DETECTOR.py --train train.json --test val.json --images IMAGES/ \
        --weights work_dirs/insloc_r18_fpn_folder --random

Only crops of boxes and the backbone are used, so this compares stage-1 methods in a minute; it does not
replace fine-tuning. WEIGHTS as in tools/convert_backbone.py; give several to compare them on the same crops.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from mmengine.config import Config, DictAction

import aligndet  # noqa: F401  (first: lets an mmcv without compiled ops run)
from aligndet.evaluation.probe import Crops, Score, probe, read_crops
from aligndet.image_domain.backbones import build_backbone, starts_pretrained
from aligndet.image_domain.convert import convert
from aligndet.image_domain.normalisation import IMAGENET, normalisation_of
from aligndet.image_domain.sources import load_source
from aligndet.training.run import load_config


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config with the backbone (detector, pre-training or backbone alone)")
    parser.add_argument("--train", type=Path, required=True, help="COCO json of boxes to learn from")
    parser.add_argument("--test", type=Path, required=True, help="COCO json of boxes to ask for")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images of both")
    parser.add_argument("--weights", nargs="*", default=[], help="checkpoints, work dirs or model names")
    parser.add_argument("--random", action="store_true", help="also the backbone with random weights")
    parser.add_argument("--side", type=int, default=128, help="pixels of a crop")
    parser.add_argument("--min-side", type=float, default=32, help="smaller boxes are left out (pixels)")
    parser.add_argument("--least", type=int, default=10, help="boxes a class needs in both files")
    parser.add_argument("--limit", type=int, help="at most this many boxes of each file")
    parser.add_argument("-k", type=int, default=20, help="neighbours that vote")
    parser.add_argument("--seed", type=int, default=0, help="of random weights and of --limit")
    parser.add_argument("--out", type=Path, help="write the numbers as json")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="override config values, k=v")
    return parser.parse_args(argv)


def ask(
    cfg: Config, weights: str | None, crops: tuple[Crops, Crops], args: argparse.Namespace
) -> dict[str, Score]:
    """Probe one backbone: with these weights, or as its config initialises it."""
    torch.manual_seed(args.seed)
    known = normalisation_of(cfg)
    if weights is None:
        backbone = build_backbone(cfg, initialise=not starts_pretrained(cfg))
    else:
        backbone, source = build_backbone(cfg), load_source(weights)
        backbone.load_state_dict(convert(source, backbone).state, strict=False)
        known = source.normalisation or known
    return probe(backbone, *crops, known or IMAGENET, args.least, args.k)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        cfg = load_config(args.config, args.cfg_options)
        options = (args.images, args.side, args.min_side, args.limit, args.seed)
        crops = read_crops(args.train, *options), read_crops(args.test, *options)
        starts = [None] * args.random + args.weights
        results = {start or "random": ask(cfg, start, crops, args) for start in starts}
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, scores in results.items():
        for kind, value in scores.items():
            print(f"{name}: {kind}: {value.top1:.1%} of boxes, {value.balanced:.1%} averaged over classes")
    if args.out:
        numbers = {name: {kind: asdict(v) for kind, v in scores.items()} for name, scores in results.items()}
        args.out.write_text(json.dumps(numbers, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
