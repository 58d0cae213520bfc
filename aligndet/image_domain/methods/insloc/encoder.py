"""The network of InsLoc: an image and one box become an embedding of the box on every pyramid level."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox2roi
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional


class BoxHead(BaseModule):
    """RoIAlign on every level, then one head for all of them.

    Named and built as the RoI head of an mmdet two-stage detector, so that its weights fit there.

    Args:
        roi_layer: config of the RoI operator.
        featmap_strides: stride of each level.
        out_channels: channels of the levels.
        bbox_head: config of an mmdet ``ConvFCBBoxHead``. Its classification layer, which is what the stock
            head has after its shared layers, is the last layer of the projection.
        embed_dim: size of the embedding.
        shared_head: config of layers between RoIAlign and ``bbox_head`` (C4: ResNet's last stage), or None.
    """

    def __init__(
        self,
        roi_layer: dict,
        featmap_strides: Sequence[int],
        out_channels: int,
        bbox_head: dict,
        embed_dim: int = 128,
        shared_head: dict | None = None,
    ) -> None:
        super().__init__()
        extractor = {"type": "mmdet.SingleRoIExtractor", "roi_layer": roi_layer, "out_channels": out_channels}
        self.extractors = nn.ModuleList(
            MODELS.build({**extractor, "featmap_strides": [stride]}) for stride in featmap_strides
        )
        self.shared_head = MODELS.build(shared_head) if shared_head else None
        # A stock head gives its classifier one output more than it has classes, for the background.
        self.bbox_head = MODELS.build(
            {**bbox_head, "with_cls": True, "with_reg": False, "num_classes": embed_dim - 1}
        )

    def forward(self, levels: Sequence[Tensor], boxes: Sequence[Tensor]) -> Tensor:
        """Embed a box per image and level; batch norm sees all levels together.

        Args:
            levels: L maps (B, C, H_l, W_l).
            boxes: L x (B, 4) xyxy in pixels.

        Returns:
            (L, B, D), not normalised.
        """
        pooled = [
            extractor((level,), bbox2roi(list(box[:, None])))
            for extractor, level, box in zip(self.extractors, levels, boxes, strict=True)
        ]
        features = torch.cat(pooled)
        if self.shared_head is not None:
            features = self.shared_head(features)
        embedding, _ = self.bbox_head(features)
        return embedding.unflatten(0, (len(pooled), -1))


class BoxEncoder(BaseModule):
    """Backbone, neck and RoI head under the names they have in an mmdet two-stage detector.

    Args:
        backbone: config.
        roi_head: arguments of :class:`BoxHead`.
        neck: config, or None for a C4 network.
    """

    def __init__(self, backbone: dict, roi_head: dict, neck: dict | None = None) -> None:
        super().__init__()
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck) if neck else None
        self.roi_head = BoxHead(**roi_head)

    def forward(self, images: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """(L, B, D) embeddings of length 1, of (B, 3, H, W) images and L x (B, 4) xyxy boxes."""
        levels = self.backbone(images)
        if self.neck is not None:
            levels = self.neck(levels)
        return functional.normalize(self.roi_head(levels, boxes), dim=-1)
