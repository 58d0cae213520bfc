"""Show what pre-training sees: two views of each image, one colour per instance, thin where unmatched.

python tools/show_views.py configs/box_domain/retinanet_r50_fpn_1x_coco.py views.png --count 4
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from mmengine.config import Config, DictAction

import aligndet  # noqa: F401  (first: lets an mmcv without compiled ops run)
from aligndet.command import answer
from aligndet.training.run import load_config
from aligndet.visualization.drawing import fit, montage, write_image
from aligndet.visualization.views import draw_views


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="pre-training config")
    parser.add_argument("out", type=Path, help="picture to write (.png or .jpg)")
    parser.add_argument("--count", type=int, default=4, help="images to show")
    parser.add_argument("--long-side", type=int, default=1000, help="pixels of a pair of views")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images and of the views")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="override config values, k=v")
    return parser.parse_args(argv)


def draw(config: Config, count: int, long_side: int, seed: int) -> np.ndarray:
    """A column of ``count`` pairs of views from the config's training data."""
    from mmengine.registry import DATASETS
    from mmengine.runner import set_random_seed

    with DATASETS.switch_scope_and_registry(config.get("default_scope", "mmdet")) as registry:
        dataset = registry.build(config.train_dataloader.dataset)
        set_random_seed(seed)
        chosen = np.random.default_rng(seed).permutation(len(dataset))[:count]
        return montage([fit(draw_views(dataset[int(i)]), long_side) for i in chosen], columns=1)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)

    def work() -> str:
        picture = draw(load_config(args.config, args.cfg_options), args.count, args.long_side, args.seed)
        write_image(picture, str(args.out))
        return f"wrote {args.out}"

    return answer(work)


if __name__ == "__main__":
    sys.exit(main())
