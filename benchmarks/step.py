"""A pre-training step against the stock fine-tuning step, and against the published algorithm.

    python benchmarks/step.py --detector mmdet::retinanet/retinanet_r50_fpn_1x_coco.py --size 320 --rounds 5

All three train the same detector on the same images and boxes, in turn, in one process; ratios are taken
round by round. The published algorithm is emulated with this project's parts: two full networks with a
backbone each, the projector on every prior of every map, one loop over instances in the loss.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from contrast import looped_contrast
from memory import peak
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor

import aligndet  # noqa: F401
from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.adapters.features import Features
from aligndet.box_domain.momentum import follow
from aligndet.common.configs import read_config

Step = Callable[[], None]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class DenseFeatures(Features):
    """Embeds every prior of every map, as the published heads do."""

    def __init__(self, like: Features, projectors: Any) -> None:
        super().__init__(like.kernel)
        self.projectors = projectors
        self.dense: list[Tensor] = []

    def add(self, x: Tensor, classifier: int = 0, priors: int = 1) -> int:
        rows = x.permute(0, 2, 3, 1) if x.dim() == 4 else x
        projector = self.projectors[classifier]
        hidden = projector.hidden(rows).relu()
        self.dense.append(projector.out(hidden).reshape(-1, projector.embed_dim))
        return super().add(x, classifier, priors)

    def embed(self, index: Tensor, projectors: Any) -> Tensor:
        return torch.cat(self.dense)[index]

    def image_of(self, index: Tensor) -> Tensor:
        return torch.zeros_like(index)

    def clear(self) -> None:
        super().clear()
        self.dense = []


def boxes(images: int, size: int, count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    corner = [torch.rand(count, 2, generator=generator) * size * 0.6 for _ in range(images)]
    side = [torch.rand(count, 2, generator=generator) * size * 0.3 + size * 0.08 for _ in range(images)]
    return [torch.cat([c, c + s], 1) for c, s in zip(corner, side, strict=True)]


def sample(box: Tensor, size: int, masks: bool) -> DetDataSample:
    meta = {"img_shape": (size, size), "ori_shape": (size, size), "scale_factor": (1.0, 1.0)}
    packed = DetDataSample(metainfo={**meta, "batch_input_shape": (size, size), "pad_shape": (size, size)})
    ids = torch.arange(len(box))
    packed.gt_instances = InstanceData(bboxes=box, labels=ids % 80, instance_ids=ids)
    if masks:
        filled = np.zeros((len(box), size, size), np.uint8)
        for mask, (x1, y1, x2, y2) in zip(filled, box.int().tolist(), strict=True):
            mask[y1:y2, x1:x2] = 1
        packed.gt_instances.masks = BitmapMasks(filled, size, size)
    packed.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
    return packed


def pixels(args: argparse.Namespace) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.rand(3, args.size, args.size, generator=generator) * 255).byte() for _ in range(args.images)
    ]


def optimise(model: Any, data: dict[str, Any], after: Callable[[], None]) -> Step:
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(parameters, lr=1e-4, momentum=0.9)

    def step() -> None:
        losses = model(**model.data_preprocessor(copy.deepcopy(data), True), mode="loss")
        optimiser.zero_grad()
        model.parse_losses(losses)[0].backward()
        optimiser.step()
        after()
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return step


def stock(config: ConfigDict, args: argparse.Namespace) -> Step:
    """The detector's own fine-tuning step, masks included where it has them."""
    model = MODELS.build(copy.deepcopy(config)).to(DEVICE).train()
    masks = "mask_head" in (config.get("roi_head") or {})
    samples = [sample(b, args.size, masks) for b in boxes(args.images, args.size, args.boxes)]
    return optimise(model, {"inputs": pixels(args), "data_samples": samples}, lambda: None)


def two_views(args: argparse.Namespace) -> dict[str, Any]:
    """The same images and boxes, the second view mirrored."""
    data: dict[str, Any] = {"inputs": {}, "data_samples": {}}
    for view in ("online", "momentum"):
        flip = view == "momentum"
        data["inputs"][view] = [p.flip(2) if flip else p for p in pixels(args)]
        views = boxes(args.images, args.size, args.boxes)
        if flip:
            views = [args.size - b[:, [2, 1, 0, 3]] for b in views]
            views = [
                torch.stack([b[:, 0], args.size - b[:, 1], b[:, 2], args.size - b[:, 3]], 1) for b in views
            ]
        data["data_samples"][view] = [sample(b, args.size, False) for b in views]
    return data


def ours(config: ConfigDict, args: argparse.Namespace) -> Step:
    model = BoxDomainPretrainer(config).to(DEVICE).train()
    return optimise(model, two_views(args), lambda: model.follow(0.996))


def published(config: ConfigDict, args: argparse.Namespace) -> Step:
    """Two full networks, dense projectors, the looped loss, one parameter averaged at a time."""
    code: Any = importlib.import_module("aligndet.box_domain.pretrainer")
    model: Any = BoxDomainPretrainer(config)
    second = copy.deepcopy(model.online.backbone)
    second.to(DEVICE)
    second.eval()
    object.__setattr__(model.momentum, "backbone", second)
    for network, adapter in ((model.online, model.online_adapter), (model.momentum, model.momentum_adapter)):
        dense = DenseFeatures(adapter.features, adapter.projectors)
        for module in (adapter, *network.modules()):
            if getattr(module, "features", None) is adapter.features and module is not adapter:
                module.features = dense
        adapter.features = dense
        adapter.num_slots *= args.images if adapter.per == "image" else 1
    model.to(DEVICE).train()

    def average() -> None:
        for mine, theirs in zip(second.parameters(), model.online.backbone.parameters(), strict=True):
            mine.data = mine.data * 0.996 + theirs.data * 0.004
        follow((model.online, model.online_adapter), (model.momentum, model.momentum_adapter), 0.996)

    step = optimise(model, two_views(args), average)

    def run() -> None:
        vectorised, code.box_contrast = code.box_contrast, _loop
        try:
            step()
        finally:
            code.box_contrast = vectorised

    return run


def _loop(online: Any, momentum: Any, temperature: float, missing_key: str) -> Tensor:
    return looped_contrast(online, momentum, temperature)


ARMS = {"stock": stock, "ours": ours, "published": published}


def three_steps(arm: str, args: argparse.Namespace) -> Step:
    """Prepare three steps of an arm, of which the first makes and counts model, data and optimiser state."""
    torch.set_num_threads(args.threads)
    config = _config(args)

    def work() -> None:
        step = ARMS[arm](config, args)
        for _ in range(3):
            step()

    return work


def _config(args: argparse.Namespace) -> ConfigDict:
    init_default_scope("mmdet")
    config = read_config(args.detector).model
    config.backbone.init_cfg = None
    return config


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--detector", default="mmdet::retinanet/retinanet_r50_fpn_1x_coco.py")
    parser.add_argument("--size", type=int, default=320, help="side of the square images, px")
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--boxes", type=int, default=30, help="boxes or proposals per image")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    config = _config(args)
    steps = {name: arm(config, args) for name, arm in ARMS.items()}
    rounds = []
    for number in range(args.rounds + 1):
        times = {}
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name] = time.perf_counter() - start
        if number:  # the first round warms up
            rounds.append(times)
    where = torch.cuda.get_device_name() if DEVICE == "cuda" else f"CPU, {args.threads} threads"
    print(f"{args.detector}, {args.images} images of {args.size} px, {args.boxes} boxes, {where}")
    for name in ARMS:
        ratios = [r[name] / r["stock"] for r in rounds]
        print(
            f"{name:10} {statistics.median(r[name] for r in rounds):7.3f} s   "
            f"{statistics.median(ratios):5.2f} x stock ({min(ratios):.2f} to {max(ratios):.2f})   "
            f"{peak(three_steps, name, args):6.0f} MB"
        )


if __name__ == "__main__":
    main()
