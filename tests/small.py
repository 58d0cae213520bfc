"""Small detectors and batches for the tests: stock configs with a shallow backbone and narrow layers."""

from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

import aligndet  # noqa: F401
from aligndet.common.configs import read_config
from aligndet.transfer.stock import without_downloads

STOCK = {
    "retinanet": "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py",
    "fcos": "mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py",
    "faster_rcnn": "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
    "mask_rcnn": "mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py",
    "detr": "mmdet::detr/detr_r50_8xb2-150e_coco.py",
    # one for each further way of matching, see tests/box_domain/adapters/test_families.py
    "gfl": "mmdet::gfl/gfl_r50_fpn_1x_coco.py",
    "vfnet": "mmdet::vfnet/vfnet_r50_fpn_1x_coco.py",
    "ddod": "mmdet::ddod/ddod_r50_fpn_1x_coco.py",
    "fsaf": "mmdet::fsaf/fsaf_r50_fpn_1x_coco.py",
    "paa": "mmdet::paa/paa_r50_fpn_1x_coco.py",
    "yolof": "mmdet::yolof/yolof_r50-c5_8xb8-1x_coco.py",
    "yolox": "mmdet::yolox/yolox_tiny_8xb8-300e_coco.py",
    "yolov3": "mmdet::yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py",
    "rtmdet": "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py",
    "ssdlite": "mmdet::ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py",
    "free_anchor": "mmdet::free_anchor/freeanchor_r50_fpn_1x_coco.py",
    "autoassign": "mmdet::autoassign/autoassign_r50-caffe_fpn_1x_coco.py",
    "centernet": "mmdet::centernet/centernet_r18_8xb16-crop512-140e_coco.py",
    "centernet_update": "mmdet::centernet/centernet-update_r50-caffe_fpn_ms-1x_coco.py",
    "rpn": "mmdet::rpn/rpn_r50_fpn_1x_coco.py",
    "cascade_rcnn": "mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py",
    "crowddet": "mmdet::crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman.py",
    "fast_rcnn": "mmdet::fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py",
    "dino": "mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py",
    "deformable_detr": "mmdet::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py",
    "sparse_rcnn": "mmdet::sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py",
    "tridentnet": "mmdet::tridentnet/tridentnet_r50-caffe_1x_coco.py",
}
PAPER = ("retinanet", "fcos", "faster_rcnn", "mask_rcnn", "detr")
#: Options that make InsLoc on a ResNet-18 narrow.
NARROW_INSLOC: dict[str, Any] = {
    "model.backbone.base_channels": 8,
    "model.neck.in_channels": [8, 16, 32, 64],
    "model.neck.out_channels": 8,
    "model.roi_head.out_channels": 8,
    "model.roi_head.bbox_head.in_channels": 8,
    "model.roi_head.bbox_head.conv_out_channels": 8,
}
WIDTHS = (64, 128, 256, 512)  # of ResNet-18's stages


def detector(name: str) -> ConfigDict:
    """A stock detector of :data:`STOCK`, its backbone a ResNet-18 where it was a ResNet-50, heads narrow."""
    model = without_downloads(read_config(STOCK[name]).model)
    if model.backbone.type == "ResNet":
        _shallow(model)
    if "roi_head" in model:
        for head in _listed(model.roi_head.bbox_head):
            head.update({key: 64 for key in ("fc_out_channels", "feedforward_channels") if key in head})
    if (model.get("train_cfg") or {}).get("rpn_proposal"):
        model.train_cfg.rpn_proposal.update(nms_pre=200, max_per_img=100)
    for part in ("encoder", "decoder"):
        if part in model:
            model[part].num_layers = 2
    if name == "sparse_rcnn":
        _two_stages(model)
    return model


def _two_stages(model: ConfigDict) -> None:
    """Sparse R-CNN with two of its six stages."""
    head = model.roi_head
    head.update(num_stages=2, stage_loss_weights=[1, 1], bbox_head=head.bbox_head[:2])
    model.train_cfg.rcnn = model.train_cfg.rcnn[:2]


def tiny() -> ConfigDict:
    """RetinaNet of 32 channels and ResNet-18 of 8, for tests of what is the same for every detector."""
    model = detector("retinanet")
    model.backbone.update(base_channels=8)
    model.neck.update(in_channels=[8, 16, 32, 64], out_channels=32)
    model.bbox_head.update(in_channels=32, feat_channels=32, stacked_convs=1)
    return model


def _shallow(model: ConfigDict) -> None:
    indices = model.backbone.get("out_indices", (0, 1, 2, 3))
    model.backbone.update(depth=18)
    widths = [WIDTHS[i] for i in indices]
    if "neck" in model:
        for key in {"in_channels", "in_channel"} & set(model.neck):
            many = isinstance(model.neck[key], (list, tuple))
            model.neck[key] = widths if many else widths[-1]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def fill(network: Any) -> None:
    """Give the layers weights that mmdet leaves as uninitialised memory, which may be NaN."""
    for module in network.modules():
        if type(module).__name__ == "TridentConv":
            torch.nn.init.kaiming_normal_(module.weight)


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
