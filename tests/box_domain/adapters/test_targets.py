"""Ids survive heads that make their targets anew.

Kind: before the loss a head sorts its targets, leaves some out, repeats them, builds them anew with the
fields it knows, writes into them or adds jittered copies. Slots must carry the instance of the box that was
matched, and a jittered copy is no instance.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from mmdet.models import DETRHead, GFLHead, RetinaHead, RTMDetSepBNHead, StandardRoIHead
from mmdet.models.task_modules.assigners import AssignResult, HungarianAssigner
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor

from aligndet.box_domain.adapters.features import Places
from aligndet.box_domain.adapters.matches import Match, ids_of, no_hints
from aligndet.box_domain.adapters.query import matched_once
from aligndet.box_domain.adapters.roster import LEFT_OUT, UNKNOWN, Roster
from aligndet.box_domain.slots import IMAGE_STRIDE, NO_INSTANCE
from aligndet.common.errors import InputError
from tests.box_domain.adapters.planted import BOXES, SIZE, Seen, rois_read
from tests.small import detector, sample

Change = Callable[[Any], Any]
#: Pixels by which copies are moved: as far as the next cells, and still on their box.
MOVED = torch.tensor([9.0, 7.0, 9.0, 7.0])


def largest_first(gt: Any) -> Any:
    order = (gt.bboxes[:, 2:] - gt.bboxes[:, :2]).prod(1).argsort(descending=True)
    return gt.new(bboxes=gt.bboxes[order], labels=gt.labels[order])


def without_the_first(gt: Any) -> Any:
    return InstanceData(bboxes=gt.bboxes[1:], labels=gt.labels[1:])


def three_times(gt: Any) -> Any:
    return InstanceData(bboxes=gt.bboxes.repeat(3, 1), labels=gt.labels.repeat(3))


def boxes_moved_under_their_fields(gt: Any) -> Any:
    gt = copy.deepcopy(gt)
    gt.bboxes, gt.labels = gt.bboxes.flip(0), gt.labels.flip(0)
    return gt


def in_place(gt: Any) -> Any:
    gt.bboxes, gt.labels = gt.bboxes.flip(0), gt.labels.flip(0)
    return gt


def with_jittered_copies(gt: Any) -> Any:
    return InstanceData(bboxes=torch.cat([gt.bboxes, gt.bboxes + MOVED]), labels=gt.labels.repeat(2))


CHANGES = (largest_first, without_the_first, three_times, boxes_moved_under_their_fields, in_place)


@pytest.fixture
def rebuilding() -> Iterator[Callable[[type, Change], str]]:
    """Registers a sub-class of a head whose targets are changed before its loss."""
    names = []

    def register(base: type, change: Change) -> str:
        def changed(value: Any) -> Any:
            many = isinstance(value, list) and value and hasattr(value[0], "labels")
            return [change(gt) for gt in value] if many else value

        class Rebuilding(base):  # type: ignore[misc, valid-type]
            def loss_by_feat(self, *args: Any, **kwargs: Any) -> Any:
                return super().loss_by_feat(*(changed(value) for value in args), **kwargs)

        Rebuilding.__name__ = f"{change.__name__}_{base.__name__}"
        MODELS.register_module(module=Rebuilding)
        names.append(Rebuilding.__name__)
        return Rebuilding.__name__

    yield register
    for name in names:
        MODELS.module_dict.pop(name)


def expected_ids(change: Change) -> set[int]:
    return {1, IMAGE_STRIDE + 1} if change is without_the_first else {0, 1, IMAGE_STRIDE, IMAGE_STRIDE + 1}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("name", "base"), [("gfl", GFLHead), ("rtmdet", RTMDetSepBNHead), ("retinanet", RetinaHead)]
)
def test_dense_heads(name: str, base: type, change: Change, rebuilding: Any) -> None:
    config = detector(name)
    config.bbox_head.type = rebuilding(base, change)
    seen = Seen(config)
    assert {number for _, number in seen.positive} == expected_ids(change)
    seen.check_dense()


@pytest.mark.parametrize("change", CHANGES)
def test_set_predictors(change: Change, rebuilding: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    matched: list[Tensor] = []

    def diagonal(self: Any, pred_instances: Any, gt_instances: Any, img_meta: Any = None) -> AssignResult:
        """Query q takes target q."""
        matched.append(gt_instances.bboxes)
        targets = torch.zeros(len(pred_instances), dtype=torch.long)
        targets[: len(gt_instances)] = torch.arange(1, len(gt_instances) + 1)
        return AssignResult(len(gt_instances), targets, None, labels=torch.zeros_like(targets))

    monkeypatch.setattr(HungarianAssigner, "assign", diagonal)
    config = detector("detr")
    config.bbox_head.type = rebuilding(DETRHead, change)
    config.bbox_head.loss_cls = {"type": "FocalLoss", "use_sigmoid": True}
    seen = Seen(config, adapter={"num_slots": 0})
    ids = torch.zeros_like(seen.places.ids).index_put((seen.places.index,), seen.places.ids)
    for layer in ids.view(2, 2, 100):  # decoder layers of images of queries
        for image, boxes in enumerate(matched[:2]):
            wanted = [
                image * IMAGE_STRIDE + next(i for i, box in enumerate(BOXES[image]) if box.equal(target))
                for target in boxes
            ]
            assert layer[image].tolist() == wanted + [NO_INSTANCE] * (100 - len(wanted))


class SortedRoIHead(StandardRoIHead):
    """Samples by targets that are the other way round."""

    def loss(self, x: Any, rpn_results_list: Any, batch_data_samples: Any) -> Any:
        for each in batch_data_samples:
            gt = each.gt_instances
            each.gt_instances = gt.new(bboxes=gt.bboxes.flip(0), labels=gt.labels)
        return super().loss(x, rpn_results_list, batch_data_samples)


def test_roi_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    rois = rois_read(monkeypatch)
    config = detector("faster_rcnn")
    config.roi_head.type = SortedRoIHead
    seen = Seen(config)
    index, ids = seen.places.index, seen.places.ids
    assert set(ids.tolist()) == {0, 1, IMAGE_STRIDE, IMAGE_STRIDE + 1}
    boxes = torch.stack(BOXES)[ids // IMAGE_STRIDE, ids % IMAGE_STRIDE]
    assert bbox_overlaps(rois[0][index, 1:], boxes, is_aligned=True).min() >= 0.5


def test_jittered_copies_are_no_instances(rebuilding: Any) -> None:
    """Places that were matched to a copy are neither the instance's nor background."""
    plain = Seen("gfl")
    config = detector("gfl")
    config.bbox_head.type = rebuilding(GFLHead, with_jittered_copies)
    seen = Seen(config)
    assert {number for _, number in seen.positive} <= expected_ids(with_jittered_copies)
    assert seen.positive
    seen.check_dense()
    assert len(seen.places.ids) < len(plain.places.ids), "what took a copy is left out"


def test_a_head_whose_targets_are_no_instances_at_all_is_named(rebuilding: Any) -> None:
    config = detector("gfl")

    def elsewhere(gt: Any) -> Any:
        return InstanceData(bboxes=gt.bboxes + MOVED, labels=gt.labels)

    config.bbox_head.type = rebuilding(GFLHead, elsewhere)
    with pytest.raises(
        InputError, match=r"elsewhere_GFLHead matches .* no proposals .*ScoreAdapter.*adapters\.md"
    ):
        Seen(config)


def roster(*ids: list[int]) -> Roster:
    """Of the planted images."""
    samples = [sample(boxes.clone(), SIZE) for boxes in BOXES]
    for each, own in zip(samples, ids or ([10, 11], [20, 21]), strict=True):
        each.gt_instances.instance_ids = torch.tensor(own)
        each.set_metainfo({"img_shape": (100, 120), "pad_shape": (128, 128)})
    return Roster(samples)


def identify(known: Roster, image: int, boxes: Tensor, hints: Tensor | None = None) -> list[int]:
    row = torch.full((len(boxes),), image)
    return known.identify(row, boxes, no_hints(boxes) if hints is None else hints).tolist()


def as_centres(boxes: Tensor) -> Tensor:
    return torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1)


@pytest.mark.parametrize(
    "form",
    [
        lambda boxes: boxes,
        lambda boxes: boxes.half(),
        as_centres,
        lambda boxes: boxes / torch.tensor([120.0, 100.0, 120.0, 100.0]),
        lambda boxes: as_centres(boxes) / 128,
        lambda boxes: boxes / 3 * 3,
    ],
)
def test_boxes_are_known_in_every_format_of_heads(form: Change) -> None:
    """Corners or centre and size, in pixels or as parts of the image or of the batch."""
    assert identify(roster(), 0, form(BOXES[0])) == [10, 11]
    assert identify(roster(), 1, form(BOXES[1].flip(0))) == [21, 20]
    assert identify(roster(), 0, form(BOXES[0] + MOVED)) == [UNKNOWN] * 2


def test_boxes_of_another_image_are_unknown() -> None:
    assert identify(roster(), 0, BOXES[1]) == [UNKNOWN] * 2
    assert identify(Roster([sample(torch.zeros(0, 4), SIZE)]), 0, BOXES[0]) == [UNKNOWN] * 2


def test_instances_of_equal_boxes_are_told_apart_by_hints_or_not_at_all() -> None:
    known = roster()
    known.boxes[0, 1] = known.boxes[0, 0]
    assert identify(known, 0, BOXES[0][:1]) == [LEFT_OUT]
    assert identify(known, 0, BOXES[0][[0, 0]], torch.tensor([11, 10])) == [11, 10]
    assert identify(roster(), 0, BOXES[0], torch.tensor([11, 10])) == [10, 11], "a hint never beats the box"


def test_ids_know_their_image() -> None:
    assert roster().images_of(torch.tensor([21, 10, 12, 20, -1, 99])).tolist() == [1, 0, -1, 1, -1, -1]


def test_targets_of_all_images_in_one_call() -> None:
    """A head may concatenate the targets of a batch: a prediction's image decides between equal boxes."""
    samples = [sample(BOXES[0].clone(), SIZE) for _ in range(2)]
    for number, each in enumerate(samples):
        each.gt_instances.instance_ids += 100 * number
    boxes = torch.cat([BOXES[0], BOXES[0]])
    match = Match(torch.tensor([4, 1, 0, -1, 2, 3]), boxes, no_hints(boxes))
    image = torch.tensor([1, 0, 0, 0, 1, 1])
    assert ids_of([match], [image], Roster(samples), ("", ""))[0].tolist() == [
        *(101, 0, NO_INSTANCE, LEFT_OUT, 101, 100)
    ]


def test_a_query_that_is_matched_several_times_is_one_slot() -> None:
    """An instance counts more than background, and two instances are none."""
    index = torch.tensor([7, 7, 3, 3, 3, 5, 5, 4, 9, 9])
    ids = torch.tensor([-1, 2, 1, -1, 1, 1, 2, -1, LEFT_OUT, 3])
    once = matched_once(Places(index, ids))
    assert dict(zip(once.index.tolist(), once.ids.tolist(), strict=True)) == {7: 2, 3: 1, 4: -1, 9: 3}
    only_ignored = Places(torch.tensor([1]), torch.tensor([LEFT_OUT]))
    assert len(matched_once(only_ignored).index) == 0
