"""How long a run takes to find its place again: ``python benchmarks/resume.py [STEPS]``, 50,000 by default.

118,287 images with 7 boxes each, batches of 16; a resumed run advances the order by indices and reads no
image. Prints seconds for each way that the shipped configs order their images.
"""

import sys
import time
from typing import Any

import numpy as np
from mmdet.datasets.samplers import AspectRatioBatchSampler
from mmengine.dataset import BaseDataset, DefaultSampler, InfiniteSampler
from torch.utils.data import BatchSampler

from aligndet.training.positions import Order

IMAGES, BOXES, BATCH = 118_287, 7, 16


class Entries(BaseDataset):
    """As many entries as COCO's training set, in mmengine's one block of bytes."""

    def load_data_list(self) -> list[dict[str, Any]]:
        """Make them."""
        rng = np.random.default_rng(0)
        sizes = rng.integers(200, 640, (IMAGES, 2)).tolist()
        instances = [{"bbox": [1.0, 2.0, 3.0, 4.0], "bbox_label": 1, "ignore_flag": 0}] * BOXES
        return [
            {"img_path": f"{number}.jpg", "width": width, "height": height, "instances": instances}
            for number, (width, height) in enumerate(sizes)
        ]


def main(steps: int = 50_000) -> None:
    """Measure, and print a line for each order."""
    dataset = Entries()
    per_epoch = len(dataset) // BATCH
    for of_images in (DefaultSampler, InfiniteSampler):
        for of_batches in (BatchSampler, AspectRatioBatchSampler):
            images = of_images(dataset, seed=0)
            sampler = of_batches(images, BATCH, False)
            order = Order(sampler, 0)
            by_steps = of_images is InfiniteSampler
            if by_steps:
                order.done, order.endless = steps, True
            else:
                order.epoch, order.done = divmod(steps, per_epoch)
                images.set_epoch(order.epoch)
            begin = time.perf_counter()
            next(iter(sampler))
            seconds = time.perf_counter() - begin
            name = f"{of_images.__name__}, {of_batches.__name__}"
            print(f"{name}: step {steps} found in {seconds:.2f} s")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
