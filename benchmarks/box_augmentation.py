"""InsLoc's box augmentation for a whole batch against a loop over its images: seconds, in one run.

    python benchmarks/box_augmentation.py

The loop does per image what the method says: IoU with every anchor, those above 0.5, random scores, NMS at
0.7 (torchvision's compiled one), one at random. Ours does it for all images at once. Both run in turn in one
process; the table of anchor pairs that ours looks up is made before, once per training, and timed apart.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor
from torchvision.ops import nms

import aligndet  # noqa: F401
from aligndet.common.configs import read_config
from aligndet.image_domain.methods.insloc.box_augmentation import BoxAugmentation
from aligndet.image_domain.methods.insloc.transforms import CopyAndPaste

SIZE = (256, 256)
METHOD = read_config("aligndet::image_domain/insloc_r50_fpn_200e_imagenet.py").model
ANCHORS = METHOD.box_augmentation.anchor_generator


def looped(boxes: Tensor, anchors: Tensor, iou_thr: float = 0.5, nms_thr: float = 0.7) -> Tensor:
    """The method image by image: (B, 4) xyxy to (B, 4)."""
    drawn = []
    for box in boxes:
        near = anchors[bbox_overlaps(box[None], anchors)[0] > iou_thr]
        if len(near) == 0:
            drawn.append(box)
            continue
        keep = nms(near, torch.rand(len(near), device=boxes.device), nms_thr)
        drawn.append(near[keep[torch.randint(len(keep), (1,), device=boxes.device)]][0])
    return torch.stack(drawn)


def pasted_boxes(count: int) -> Tensor:
    """(count, 4) xyxy boxes as the data pipeline makes them from 500 x 375 images."""
    np.random.seed(0)
    transform = CopyAndPaste(background=0)
    source, blank = np.zeros((375, 500, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    made = [transform.transform({"img": source, "backgrounds": [blank]}) for _ in range(count)]
    return torch.cat([results["gt_bboxes"].tensor for results in made])


def seconds(call: Callable[[], Tensor], device: str) -> float:
    start = time.perf_counter()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args(argv)
    augment = BoxAugmentation(ANCHORS)
    start = time.perf_counter()
    anchors, _ = augment.tables(SIZE, torch.device(args.device))
    print(
        f"torch {torch.__version__}, {args.device}, {torch.get_num_threads()} threads, {args.rounds} rounds"
    )
    print(f"table of {len(anchors)} x {len(anchors)} anchors, once: {time.perf_counter() - start:.2f} s")
    print(" images |  loop s    ours s   ratio | mean IoU loop  ours")
    for count in (32, 256):
        boxes = pasted_boxes(count).to(args.device)
        pair = (lambda b=boxes: looped(b, anchors)), (lambda b=boxes: augment(b, SIZE))
        overlaps = [bbox_overlaps(call(), boxes, is_aligned=True).mean().item() for call in pair]
        times = [tuple(seconds(call, args.device) for call in pair) for _ in range(args.rounds)]
        loop, ours = (statistics.median(side) for side in zip(*times, strict=True))
        ratio = statistics.median(a / b for a, b in times)
        print(f"{count:7} | {loop:7.3f} {ours:9.4f} {ratio:6.1f}x | {overlaps[0]:13.3f} {overlaps[1]:5.3f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
