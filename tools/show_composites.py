"""Show what InsLoc sees: both composites of each image, true boxes green, boxes of the augmentation orange.

    python tools/show_composites.py configs/image_domain/insloc_r50_fpn_200e_imagenet.py composites.png \
        --cfg-options train_dataloader.dataset.data_root=IMAGES
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.registry import DATASETS
from mmengine.runner import set_random_seed

import aligndet  # noqa: F401  (first: lets an mmcv without compiled ops run)
from aligndet.command import answer
from aligndet.image_domain.methods.insloc.box_augmentation import BoxAugmentation
from aligndet.training.run import load_config
from aligndet.visualization.composites import draw_composites, true_box
from aligndet.visualization.drawing import montage, write_image


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="InsLoc config")
    parser.add_argument("out", type=Path, help="picture to write (.png or .jpg)")
    parser.add_argument("--count", type=int, default=6, help="images to show")
    parser.add_argument("--columns", type=int, default=2, help="pairs of views in a row")
    parser.add_argument("--augmented", type=int, default=5, help="augmented boxes to draw per image")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images, views and boxes")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, help="override config values, k=v")
    return parser.parse_args(argv)


def augmented_boxes(augment: BoxAugmentation | None, item: dict[str, Any], count: int) -> np.ndarray | None:
    """(count, 4) draws for the query's box; None where the config has no augmentation."""
    if augment is None or count == 0:
        return None
    height, width = item["inputs"]["query"].shape[-2:]
    boxes = torch.from_numpy(true_box(item, "query")).float().repeat(count, 1)
    return augment(boxes, (height, width)).numpy()


def draw(config: Config, count: int, columns: int, augmented: int, seed: int) -> np.ndarray:
    """A grid of ``count`` items of the config's training data."""
    settings = config.model.get("box_augmentation")
    with DATASETS.switch_scope_and_registry(config.get("default_scope", "mmdet")) as registry:
        dataset = registry.build(config.train_dataloader.dataset)
        augment = BoxAugmentation(**settings) if settings else None
        set_random_seed(seed)
        chosen = np.random.default_rng(seed).permutation(len(dataset))[:count]
        items = [dataset[int(number)] for number in chosen]
        pictures = [draw_composites(item, augmented_boxes(augment, item, augmented)) for item in items]
    return montage(pictures, columns=columns, gap=8)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)

    def work() -> str:
        config = load_config(args.config, args.cfg_options)
        picture = draw(config, args.count, args.columns, args.augmented, args.seed)
        write_image(picture, str(args.out))
        return f"wrote {args.out}"

    return answer(work)


if __name__ == "__main__":
    sys.exit(main())
