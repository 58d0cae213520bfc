"""Small detectors and batches for the tests: stock configs with a shallow backbone and narrow layers."""

from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

import aligndet  # noqa: F401
from aligndet.configs import read_config

STOCK = {
    "retinanet": "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py",
    "fcos": "mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py",
    "faster_rcnn": "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
    "mask_rcnn": "mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py",
    "detr": "mmdet::detr/detr_r50_8xb2-150e_coco.py",
}


def detector(name: str) -> ConfigDict:
    """A stock detector of :data:`STOCK` on ResNet-18, its box head narrow, no weights to download."""
    model = read_config(STOCK[name]).model
    model.backbone.update(depth=18, init_cfg=None)
    if model.neck.type == "FPN":
        model.neck.in_channels = [64, 128, 256, 512]
    else:
        model.neck.in_channels = [512]
    if "roi_head" in model:
        model.roi_head.bbox_head.fc_out_channels = 64
        model.train_cfg.rpn_proposal.update(nms_pre=200, max_per_img=100)
    if name == "detr":
        model.encoder.num_layers = model.decoder.num_layers = 2
    return model


def boxes_of(count: int, size: int, generator: torch.Generator) -> torch.Tensor:
    """``(count, 4)`` random xyxy boxes, sides 24 to 64 px, inside a square image."""
    corner = torch.rand(count, 2, generator=generator) * (size - 64)
    return torch.cat([corner, corner + 24 + torch.rand(count, 2, generator=generator) * 40], 1)


def sample(boxes: torch.Tensor, size: int) -> DetDataSample:
    """An image's proposals as PackView leaves them."""
    shape = (size, size)
    meta = {"img_shape": shape, "ori_shape": shape, "scale_factor": (1.0, 1.0)}
    packed = DetDataSample(metainfo={**meta, "batch_input_shape": shape, "pad_shape": shape})
    ids = torch.arange(len(boxes))
    packed.gt_instances = InstanceData(bboxes=boxes, labels=torch.zeros_like(ids), instance_ids=ids)
    packed.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
    return packed


def batch(images: int = 2, size: int = 128, boxes: int = 6, seed: int = 0) -> dict[str, Any]:
    """What the data loader gives a pre-trainer: two views, the momentum one mirrored."""
    generator = torch.Generator().manual_seed(seed)
    data: dict[str, Any] = {"inputs": {}, "data_samples": {}}
    pixels = [(torch.rand(3, size, size, generator=generator) * 255).byte() for _ in range(images)]
    online = [boxes_of(boxes, size, generator) for _ in range(images)]
    for view, flip in (("online", False), ("momentum", True)):
        data["inputs"][view] = [p.flip(2) if flip else p for p in pixels]
        data["data_samples"][view] = [sample(mirror(b, size) if flip else b, size) for b in online]
    return data


def mirror(boxes: torch.Tensor, width: int) -> torch.Tensor:
    """xyxy boxes of the horizontally flipped image."""
    return torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
