"""Adapter for two-stage detectors, whose slots are RoIs, matched by the assigner and sampler of the head."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from mmdet.structures.bbox import get_box_tensor
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from aligndet.box_domain.adapters.base import Adapter, Detector, Losses, serves
from aligndet.box_domain.adapters.classifiers import Classifier, outputs
from aligndet.box_domain.adapters.features import Features, Places
from aligndet.box_domain.adapters.heads import listed
from aligndet.box_domain.adapters.matches import Match, ids_of
from aligndet.box_domain.adapters.roi_reads import RoIReads, Sampled, SampleRecorder
from aligndet.box_domain.adapters.roster import UNKNOWN


class ZeroLogits(nn.Module):
    """Stands where a classifier of RoIs stood, keeps what it would read, and scores 0."""

    def __init__(self, features: Features, number: int, classes: int, reads: RoIReads) -> None:
        super().__init__()
        self.features, self.number, self.classes, self.reads = features, number, classes, reads

    def forward(self, x: Tensor) -> Tensor:
        """Keep ``x (N, C)`` and return zeros ``(N, classes)``."""
        self.features.add(x, self.number)
        self.reads.classified()
        return x.new_zeros(len(x), self.classes)


@serves("StandardRoIHead", "CascadeRoIHead")
class RoIAdapter(Adapter):
    """Serves Faster, Mask and Cascade R-CNN: every RoI that was sampled is a slot, in every stage.

    Paper's setting for one stage: 4,096 RoIs, positives only, so there is no background; the RPN trains on
    4,096 anchors. Cascades keep their own samplers. The box regressor is class-agnostic. A detector without
    RPN (Fast R-CNN) gets its proposals jittered.
    """

    NOT_A_LOSS: ClassVar[tuple[str, ...]] = ("acc", "loss_cls")
    RECIPE: ClassVar[str] = "cnn_two_stage"
    #: Jittered copies of each proposal, and how far its sides move, as a fraction of the side.
    COPIES: ClassVar[int] = 8
    JITTER: ClassVar[float] = 0.15
    #: Classifiers that a head has for each RoI.
    PER_ROI: ClassVar[int] = 1

    def __init__(self, detector: Detector, classifiers: list[Classifier], **options: Any) -> None:
        self.reads = RoIReads()
        super().__init__(detector, classifiers, **{"per": "batch", **options})
        self.reads.watch(getattr(detector.roi_head, "bbox_roi_extractor", None))
        self.sampled: list[Sampled] = []
        heads = detector.roi_head.bbox_head
        for head in heads if isinstance(heads, nn.ModuleList) else [heads]:
            head.get_targets = SampleRecorder(head.get_targets, self.sampled)

    @classmethod
    def prepare(cls, detector: ConfigDict, num_clusters: int) -> None:
        """Make box regressors class-agnostic and set the samplers."""
        super().prepare(detector, 1)
        for head in listed(detector.roi_head.bbox_head):
            head.reg_class_agnostic = True
        cls.set_samplers(detector.train_cfg)

    @classmethod
    def set_samplers(cls, train: ConfigDict) -> None:
        """Set the paper's samplers for a detector of one stage, and leave those of cascades."""
        if isinstance(train.rcnn, (list, tuple)):
            return
        if isinstance(train.get("rpn"), dict):
            train.rpn.sampler = _sampler(neg_pos_ub=-1, add_gt_as_proposals=False)
        train.rcnn.sampler = _sampler(neg_pos_ub=0, add_gt_as_proposals=True)

    def attach(self, detector: Detector, number: int, classifier: Classifier) -> None:
        """Put zero logits where the classifier stood."""
        name, _, layer = classifier.name.rpartition(".")
        owner = detector.get_submodule(name)
        zeros = ZeroLogits(self.features, number, outputs(getattr(owner, layer)), self.reads)
        self.originals.replace(owner, layer, zeros)

    def label(self, samples: list[Any]) -> None:
        """Set labels to 0, because RoIs are matched without classes."""
        for sample in samples:
            sample.gt_instances.labels = torch.zeros_like(sample.gt_instances.labels)

    def forward(
        self, detector: Detector, inputs: Tensor, data_samples: list[Any], **more: Any
    ) -> tuple[Any, Losses]:
        """Run the detector on one view, with jittered proposals where it has no RPN."""
        if not detector.with_rpn:
            for sample in data_samples:
                boxes = jitter(sample.gt_instances.bboxes, self.COPIES, self.JITTER, sample.img_shape)
                sample.proposals = InstanceData(bboxes=boxes)
        return super().forward(detector, inputs, data_samples, **more)

    def places(self, samples: list[Any]) -> Places:
        """Give ids to RoIs in the order in which heads read them: stages, images, positives, background."""
        matches, images, rois = [], [], [self.roster.boxes.new_zeros(0, 5)]
        for sampled in self.sampled:
            for turn in range(self.PER_ROI):
                for number, result in enumerate(sampled.results):
                    image = number % len(samples)  # Trident repeats the batch, once per branch
                    matches.append(self.match_of(result, turn, self.roster.of(image)[1]))
                    images.append(torch.full_like(matches[-1].targets, image))
                rois.append(sampled.rois)
        ids = torch.cat([self.roster.ids.new_zeros(0), *ids_of(matches, images, self.roster, self.names)])
        places = self.in_order(ids)
        if not self.reads.agree(torch.cat(rois), [len(call.x) for call in self.features.calls]):
            self.misfit("classifies other RoIs than were sampled, or in another order")
        return places

    def match_of(self, result: Any, turn: int, ids: Tensor) -> Match:
        """Read the targets of one image's RoIs, positives first, for the head's classifier number ``turn``.

        Args:
            result: mmdet's SamplingResult.
            turn: counts the classifiers of an RoI.
            ids: ``(G,)`` of the image's instances.
        """
        positives, negatives = len(result.pos_inds), len(result.neg_inds)
        targets = torch.arange(1, positives + 1, device=ids.device)
        boxes, which = get_box_tensor(result.pos_gt_bboxes), result.pos_assigned_gt_inds  # (p, 4), (p,)
        return Match(torch.cat([targets, targets.new_zeros(negatives)]), boxes, hints_of(which, ids))

    def clear(self) -> None:
        """Forget this step and its samples."""
        super().clear()
        self.sampled.clear()
        self.reads.clear()


@serves("MultiInstanceRoIHead")
class CrowdAdapter(RoIAdapter):
    """Serves CrowdDet, where an RoI speaks about two instances, each with a classifier."""

    PER_ROI: ClassVar[int] = 2

    @classmethod
    def set_samplers(cls, train: ConfigDict) -> None:
        """Leave the samplers."""

    def match_of(self, result: Any, turn: int, ids: Tensor) -> Match:
        """Read targets as of other RoIs, with background as the second of an RoI that holds one instance."""
        is_object = result.pos_gt_labels[:, turn] == 1  # its assigner's labels: 1 object, 0 background
        targets = torch.arange(1, len(is_object) + 1, device=ids.device) * is_object
        boxes = get_box_tensor(result.pos_gt_bboxes)[:, turn]  # (p, 2, 4) -> (p, 4)
        hints = hints_of(result.pos_assigned_gt_inds[:, turn], ids)
        return Match(torch.cat([targets, targets.new_zeros(len(result.neg_inds))]), boxes, hints)


def hints_of(which: Tensor, ids: Tensor) -> Tensor:
    """Return the ids ``(p,)`` that indices ``which (p,)`` into the instances of ``ids (G,)`` hint at."""
    inside = (which >= 0) & (which < len(ids))
    hints = torch.full_like(which, UNKNOWN)
    hints[inside] = ids[which[inside]]
    return hints


def jitter(boxes: Tensor, copies: int, fraction: float, shape: tuple[int, int]) -> Tensor:
    """Make jittered copies of boxes.

    Args:
        boxes: ``(n, 4)`` xyxy in pixels.
        copies: of each box.
        fraction: of a box's side by which each of its sides moves at most.
        shape: height and width of the image, which copies do not leave.

    Returns:
        ``(copies * n, 4)`` xyxy.
    """
    size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    many, sizes = boxes.repeat(copies, 1), size.repeat(copies, 1)
    moved = many + (torch.rand_like(many) * 2 - 1) * fraction * sizes
    limit = moved.new_tensor([shape[1], shape[0]] * 2)
    return torch.minimum(moved.clamp(min=0), limit)


def _sampler(**options: Any) -> ConfigDict:
    return ConfigDict(type="RandomSampler", num=4096, pos_fraction=1.0, **options)
