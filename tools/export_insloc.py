"""Turn an InsLoc checkpoint into a plain mmdet checkpoint: backbone, FPN and the RoI head's shared layers.

    python tools/export_insloc.py work_dirs/insloc_r50_fpn_200e_imagenet detector.pth \
        --detector configs/finetune/insloc_mask-rcnn_r50_fpn_1x_coco.py

SRC is a work dir, a checkpoint, or a checkpoint of the published InsLoc code. OUT goes into ``load_from`` of
a fine-tuning config, or into ``detector.init_cfg`` of a box-domain pre-training. For the backbone alone, in
any detector: tools/convert_backbone.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmengine.config import DictAction

import aligndet  # noqa: F401  (first: lets an mmcv without compiled ops run)
from aligndet.image_domain.methods.insloc.export import build_detector, export_insloc, save
from aligndet.image_domain.sources import load_source
from aligndet.training.run import load_config


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", help="work dir or checkpoint of InsLoc")
    parser.add_argument("out", type=Path, help="checkpoint to write")
    parser.add_argument("--detector", required=True, help="config of the detector (stock or pre-training)")
    parser.add_argument("--allow-partial", action="store_true", help="keep what does not fit at random")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="override config values, k=v")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        detector = build_detector(load_config(args.detector, args.cfg_options))
        source = load_source(args.source)
        result = export_insloc(source, detector, args.allow_partial)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    save(result, source, args.out)
    print(result)
    print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
