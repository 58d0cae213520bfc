"""``aligndet backbone convert``: weights of any maker as the backbone of a detector."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from aligndet.cli import options, paths, values
from aligndet.cli.silence import libraries_silent

if TYPE_CHECKING:
    from aligndet.image_domain.convert import Conversion

SUMMARY = "turn weights of any maker into the backbone of a detector"
EXAMPLES = """
aligndet backbone convert work_dirs/simsiam_r18_folder backbone.pth --config my_detector.py
aligndet backbone convert timm:resnet50 backbone.pth --config mmdet::retinanet/retinanet_r50_fpn_1x_coco.py
Use: init_cfg=dict(type='Pretrained', checkpoint='backbone.pth') of the detector's backbone
"""
MIN_MATCH = 0.9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Weights, the file to write, and the detector."""
    add = parser.add_argument
    add("source", type=paths.weights, metavar="SOURCE", help=options.WEIGHTS_HELP)
    add("out", type=paths.out_file, metavar="OUT", help="file to write (.pth)")
    more = "of the detector, of a pre-training, or only backbone=dict(...)"
    options.add(parser, "--config", more, required=True)
    add("--prefix", default="auto", help="of the backbone in the weights (default: the best match)")
    add(
        "--min-match",
        type=values.share,
        default=MIN_MATCH,
        metavar="SHARE",
        help=f"least share of the backbone's tensors that must be there (default {MIN_MATCH})",
    )
    options.add(parser, "--allow-partial")
    options.add(parser, "--trust")
    options.add(parser, "--cfg-options")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Convert, write, say what matched."""
    with libraries_silent(args):
        from aligndet.image_domain import convert as conversion

        result, hint = _convert(args)
    print(conversion.describe(result.match))
    if result.tied:
        print(f"as good: prefix {', '.join(map(repr, result.tied))} (choose with --prefix)")
    print(hint)
    print(f"wrote {args.out}")
    return {
        "out": args.out,
        "source": result.source.name,
        "matched": [target for target, _ in result.match.pairs],
        "missing": result.match.missing,
        "unexpected": result.match.unexpected,
        "shape_differs": result.match.mismatched,
    }


def _convert(args: argparse.Namespace) -> tuple[Conversion, str]:
    """Convert and write; the second is a line on the normalisation of images."""
    from aligndet.image_domain import convert as conversion
    from aligndet.image_domain.backbones import backbone_config, build_backbone
    from aligndet.image_domain.sources import load_source, normalisation_of
    from aligndet.training.config import load_config

    cfg = load_config(args.config, options.cfg_options(args))
    part = backbone_config(cfg)
    source = load_source(args.source)
    conversion.check_style(source, part)
    prefix = None if args.prefix == "auto" else args.prefix
    backbone = build_backbone(cfg)
    result = conversion.convert(source, backbone, prefix, args.min_match, args.allow_partial)
    conversion.save(result, args.out, backbone)
    return result, conversion.normalisation_hint(source.normalisation, normalisation_of(cfg))
