"""Instance localization (InsLoc, CVPR 2021, arXiv 2102.08318): backbone, FPN and RoI head learn boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModel, ExponentialMovingAverage
from torch import Tensor

from aligndet.common.errors import InputError
from aligndet.common.views import preprocessor_of_views
from aligndet.image_domain.methods.insloc.box_augmentation import BoxAugmentation
from aligndet.image_domain.methods.insloc.encoder import BoxEncoder
from aligndet.image_domain.methods.insloc.key_queue import KeyQueue
from aligndet.image_domain.methods.insloc.shuffle import encode_in_groups, encode_shuffled
from aligndet.registry import MODELS

Views = dict[str, Any]


@MODELS.register_module()
class InsLoc(BaseModel):
    """Tell one image's pasted box from all others', on every pyramid level.

    Two composites show crops of one image on different backgrounds. The query network embeds the box of the
    first, the key network, an average of the query network over time, that of the second. On each level the
    two must agree better than the query does with the keys of other images in that level's queue.

    Two architectures: with a neck, RoIAlign on each of its levels and one head for all (R50-FPN); without,
    RoIAlign on the backbone's last map and ResNet's last stage as ``roi_head.shared_head`` (R50-C4).

    Args:
        backbone: config of the backbone; its batch norm must train (``norm_eval=False``).
        roi_head: arguments of :class:`BoxHead`; ``embed_dim`` and ``featmap_strides`` are read here too.
        neck: config of the FPN, or None.
        head: config of mmpretrain's ContrastiveHead, which holds the temperature.
        box_augmentation: arguments of :class:`BoxAugmentation`, or None to leave it out.
        augmented_strides: levels, by their stride, where the query looks at the augmented box instead of the
            true one. The paper's FPN: 32 only.
        queue_len: keys per level.
        momentum: share of the query network that enters the key network at each step (mmengine's meaning; the
            paper's m is 1 minus this).
        shuffle_groups: in how many parts a process normalises its batch; above 1 it stands for as many GPUs
            (see :mod:`~aligndet.image_domain.methods.insloc.shuffle`).
        data_preprocessor: of one view, as for a detector.
        init_cfg: mmengine's.

    Raises:
        InputError: a stride to augment that no level has.
    """

    def __init__(
        self,
        backbone: dict,
        roi_head: dict,
        neck: dict | None = None,
        head: dict | None = None,
        box_augmentation: dict | None = None,
        augmented_strides: Sequence[int] = (),
        queue_len: int = 65536,
        momentum: float = 0.001,
        shuffle_groups: int = 1,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(preprocessor_of_views(data_preprocessor), init_cfg)
        self.strides = list(roi_head["featmap_strides"])
        if foreign := set(augmented_strides) - set(self.strides):
            raise InputError(
                f"model.augmented_strides: no level has stride {sorted(foreign)}; levels have {self.strides}"
            )
        self.encoder_q = BoxEncoder(backbone, roi_head, neck)
        self.encoder_k = ExponentialMovingAverage(self.encoder_q, momentum)
        self.queue = KeyQueue(len(self.strides), roi_head.get("embed_dim", 128), queue_len)
        self.head = MODELS.build(head or contrastive_head())
        self.augment = BoxAugmentation(**box_augmentation) if box_augmentation else None
        self.augmented_strides = list(augmented_strides) if box_augmentation else []
        self.shuffle_groups = shuffle_groups

    def loss(self, inputs: Views, data_samples: Views) -> dict[str, Tensor]:
        """One step.

        Args:
            inputs: ``query`` and ``key``: (B, 3, H, W) each.
            data_samples: DetDataSample lists under the same names, each with one box.

        Returns:
            ``loss_stride{s}`` for every level, summed by the runner, and ``accuracy``: the share of queries
            nearer to their own key than to any other.
        """
        images, boxes = inputs["query"], self.query_boxes(inputs["query"], data_samples["query"])
        queries = encode_in_groups(self.encoder_q, images, boxes, self.shuffle_groups)
        keys = self.keys(inputs["key"], true_boxes(data_samples["key"]))
        positive = (queries * keys).sum(dim=-1, keepdim=True)
        # Cloned, because the queue moves on before the gradient asks for it.
        negative = torch.bmm(queries, self.queue.keys.clone().to(queries.dtype))
        losses = {
            f"loss_stride{stride}": self.head.loss(own, others)
            for stride, own, others in zip(self.strides, positive, negative, strict=True)
        }
        losses["accuracy"] = (positive[..., 0] > negative.amax(dim=-1)).float().mean()
        self.queue.push(keys)
        return losses

    def query_boxes(self, images: Tensor, samples: list[Any]) -> list[Tensor]:
        """The query's box on each level: L x (B, 4)."""
        boxes = true_boxes(samples)
        if self.augment is None or not self.augmented_strides:
            return [boxes] * len(self.strides)
        moved = self.augment(boxes, (images.shape[-2], images.shape[-1]))
        return [moved if stride in self.augmented_strides else boxes for stride in self.strides]

    @torch.no_grad()
    def keys(self, images: Tensor, boxes: Tensor) -> Tensor:
        """Move the key network and encode the key view with it: (L, B, D)."""
        self.encoder_k.update_parameters(self.encoder_q)
        return encode_shuffled(self.encoder_k, images, boxes, len(self.strides), self.shuffle_groups)

    @torch.no_grad()
    def embed(self, images: Tensor, boxes: Tensor) -> Tensor:
        """(L, B, D) embeddings by the query network, of preprocessed images and their true boxes."""
        return self.encoder_q(images, [boxes] * len(self.strides))

    def forward(self, inputs: Views, data_samples: Views | None = None, mode: str = "loss") -> Any:
        """mmengine's entry. Only ``mode='loss'`` exists: this network does not detect."""
        if mode != "loss" or data_samples is None:
            raise InputError(
                f"InsLoc has no mode {mode!r}: it does not detect. Export a detector from its checkpoint "
                "(aligndet export) and fine-tune that."
            )
        return self.loss(inputs, data_samples)


def contrastive_head(temperature: float = 0.2) -> dict:
    """InfoNCE of MoCo v2, as mmpretrain has it."""
    loss = {"type": "mmpretrain.CrossEntropyLoss", "loss_weight": 1.0}
    return {"type": "mmpretrain.ContrastiveHead", "temperature": temperature, "loss": loss}


def true_boxes(samples: list[Any]) -> Tensor:
    """(B, 4) xyxy: the one box of every composite.

    Raises:
        InputError: a sample has none, or several.
    """
    counts = {len(sample.gt_instances.bboxes) for sample in samples}
    if counts != {1}:
        raise InputError(
            f"InsLoc: expected one box per composite, got {sorted(counts)}. Both branches of the pipeline "
            "need aligndet.CopyAndPaste."
        )
    return torch.cat([sample.gt_instances.bboxes for sample in samples])
