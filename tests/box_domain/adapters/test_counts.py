"""Ids and features that are not as many stop training, and name the head; misaligned slots would not."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from mmdet.models import GFLHead, StandardRoIHead
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox2roi
from mmengine.structures import InstanceData
from torch import Tensor, nn

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.adapters.decoded import DecodedAdapter
from aligndet.box_domain.adapters.roster import Roster
from aligndet.common.errors import InputError
from tests.registration import registered_in
from tests.small import batch, detector


class CornerRoIHead(StandardRoIHead):
    """Classifies seven corners of the image before the RoIs that were sampled."""

    corners = 7

    def _bbox_forward(self, x: Any, rois: Tensor) -> dict:
        if not self.training or not self.corners:
            return super()._bbox_forward(x, rois)
        corner = rois.new_tensor([0.0, 0.0, 16.0, 16.0]).repeat(self.corners, 1)
        results = super()._bbox_forward(x, torch.cat([bbox2roi([corner]), rois]))
        return {
            **results,
            "cls_score": results["cls_score"][self.corners :],
            "bbox_pred": results["bbox_pred"][self.corners :],
        }


class TwiceGFLHead(GFLHead):
    """Asks its classifier about the last level twice."""

    def forward(self, x: Any) -> Any:
        self.gfl_cls(x[-1])
        return super().forward(x)


@pytest.fixture(autouse=True)
def heads() -> Iterator[None]:
    """Heads of somebody's project."""
    with registered_in(MODELS, CornerRoIHead, TwiceGFLHead):
        yield


def one_step(config: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    model = BoxDomainPretrainer(config)
    model.init_weights()
    model.train()
    return model(**model.data_preprocessor(batch(), True), mode="loss")


def test_a_head_that_classifies_more_rois_than_were_sampled_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    config = detector("faster_rcnn")
    config.roi_head.type = "CornerRoIHead"
    with pytest.raises(InputError, match=r"CornerRoIHead gave .* features, but RoIAdapter .*adapters\.md"):
        one_step(config)
    monkeypatch.setattr(CornerRoIHead, "corners", 0)
    assert one_step(config)["loss_contrast"] > 0, "the head itself is served"


def test_a_dense_head_that_asks_its_classifier_twice_is_named() -> None:
    config = detector("gfl")
    config.bbox_head.type = "TwiceGFLHead"
    with pytest.raises(InputError, match=r"TwiceGFLHead gave .* features, but ScoreAdapter has ids for"):
        one_step(config)


class Planted(DecodedAdapter):
    """Has the boxes that a test gives it."""

    def __init__(self, boxes: Tensor) -> None:
        nn.Module.__init__(self)
        self.planted, self.head_name = boxes, "MyHead"
        self.calls = [((), None)]

    def ids(self, sample: Any, places: Tensor) -> tuple[Tensor, Tensor]:
        """Places and ids of the only image."""
        self.roster = Roster([sample])
        return self.ids_of(0, sample, places)

    def boxes(self, args: tuple, result: Any, image: int) -> Tensor:
        return self.planted


def overlapping(*overlaps: float, x: float = 0.0) -> Tensor:
    """xyxy boxes that overlap a box of 100 x 100 px at ``(x, 0)`` by these IoUs."""
    return torch.tensor([[x, 0.0, x + 100.0, 100.0 * overlap] for overlap in overlaps])


def test_overlaps_decide_what_a_box_is() -> None:
    """From IoU 0.5 a proposal's, from 0.1 if its best, background below 0.4, left out between."""
    first, second = overlapping(0.51, 0.49, 0.41, 0.39, 0.02), overlapping(0.11, 0.09, x=200)
    third = overlapping(0.09, 0.05, x=400)
    proposals = torch.cat([overlapping(1.0), overlapping(1.0, x=200), overlapping(1.0, x=400)])
    sample = DetDataSample(gt_instances=InstanceData(bboxes=proposals, instance_ids=torch.tensor([5, 6, 7])))
    places, ids = Planted(torch.cat([first, second, third])).ids(sample, torch.arange(10, 19))
    expected = {10: 5, 13: -1, 14: -1, 15: 6, 16: -1, 17: -1, 18: -1}
    assert dict(zip(places.tolist(), ids.tolist(), strict=True)) == expected


def test_a_box_for_each_place_is_needed() -> None:
    sample = DetDataSample(gt_instances=InstanceData(bboxes=overlapping(1.0), instance_ids=torch.tensor([5])))
    with pytest.raises(InputError, match="MyHead gave its classifier 4 features, but Planted has ids for 3"):
        Planted(overlapping(0.5, 0.6, 0.7)).ids(sample, torch.arange(4))
