"""Turn a checkpoint of stage 1 into the backbone of a detector.

    python tools/convert_backbone.py work_dirs/simsiam_r18_folder backbone.pth --detector my_detector.py

SRC is timm:NAME, torchvision:NAME, mmpretrain::CONFIG, a URL, a file, or a work dir. OUT is used as
``init_cfg=dict(type='Pretrained', checkpoint='backbone.pth')`` of the detector's backbone.
"""

import aligndet  # noqa: F401, I001  first: makes mmcv importable where it has no compiled ops

import argparse
import sys
from pathlib import Path

from mmengine.config import DictAction

from aligndet.image_domain import convert as conversion
from aligndet.image_domain.backbones import backbone_config, build_backbone
from aligndet.image_domain.sources import load_source, normalisation_of
from aligndet.training.run import load_config


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "source", help="timm:NAME, torchvision:NAME, mmpretrain::CONFIG, URL, file or work dir"
    )
    parser.add_argument("out", type=Path, help="file to write")
    config = parser.add_mutually_exclusive_group(required=True)
    config.add_argument("--detector", dest="config", help="config of the detector (stock or pre-training)")
    config.add_argument("--backbone-config", dest="config", help="config with only backbone=dict(...)")
    parser.add_argument(
        "--prefix", default="auto", help="of the backbone in the checkpoint (default: best match)"
    )
    parser.add_argument(
        "--min-match", type=float, default=conversion.MIN_MATCH, help="least share of tensors"
    )
    parser.add_argument("--allow-partial", action="store_true", help="keep what is not found at random")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="override config values, k=v")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        cfg = load_config(args.config, args.cfg_options)
        source = load_source(args.source)
        conversion.check_style(source, backbone_config(cfg))
        prefix = None if args.prefix == "auto" else args.prefix
        backbone = build_backbone(cfg)
        result = conversion.convert(source, backbone, prefix, args.min_match, args.allow_partial)
        conversion.save(result, args.out, backbone)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(conversion.describe(result.match))
    if result.tied:
        print(f"as good: prefix {', '.join(map(repr, result.tied))} (choose with --prefix)")
    print(conversion.normalisation_hint(source.normalisation, normalisation_of(cfg)))
    print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
