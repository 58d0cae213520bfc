"""Features, ids and instances are held against each other in every step.

Kind: a head classifies other things than were sampled or matched, or in another order, though as many; it
works on its scores before it hands them on, counts its labels otherwise, or mixes images up. A step must end
with a line that names head and adapter, because wrong ids would stop nothing else.
"""

from typing import Any

import pytest
import torch
from mmdet.models import DETRHead, GFLHead, RetinaHead, StandardRoIHead
from mmdet.structures.bbox import bbox2roi
from torch import Tensor

from aligndet.box_domain.adapters.agreement import disagreement, lie_in_order
from aligndet.box_domain.adapters.features import Features, Places
from aligndet.box_domain.adapters.pointer import BACKGROUND, Recorder
from aligndet.box_domain.adapters.roi_reads import RoIReads
from aligndet.box_domain.adapters.roster import Roster
from aligndet.common.errors import InputError
from tests.box_domain.adapters.planted import BOXES, SIZE, Seen
from tests.small import STOCK, detector, sample


def expect_misfit(name: str, key: str, head: type, problem: str) -> None:
    """A detector with another head is stopped with one line that names it."""
    config = detector(name)
    config[key].type = head
    with pytest.raises(
        InputError, match=f"{head.__name__} {problem}.*Adapter cannot tell.*adapters.md"
    ) as caught:
        Seen(config)
    assert "\n" not in str(caught.value)


class MirroredRoIHead(StandardRoIHead):
    """Classifies the sampled RoIs in the opposite order, as many as were sampled."""

    def _bbox_forward(self, x: Any, rois: Tensor) -> dict:
        return super()._bbox_forward(x, rois.flip(0))


class ElsewhereRoIHead(StandardRoIHead):
    """Classifies corners of the image instead of the RoIs, as many."""

    def bbox_loss(self, x: Any, sampling_results: Any) -> dict:
        rois = bbox2roi([torch.zeros_like(result.priors) + 8 for result in sampling_results])
        results = self._bbox_forward(x, rois)
        target = {"sampling_results": sampling_results, "rcnn_train_cfg": self.train_cfg}
        scores = {"cls_score": results["cls_score"], "bbox_pred": results["bbox_pred"]}
        return {**results, **self.bbox_head.loss_and_target(rois=rois, **scores, **target)}


@pytest.mark.parametrize("head", [MirroredRoIHead, ElsewhereRoIHead])
def test_rois_that_were_not_sampled(head: type) -> None:
    expect_misfit(
        "faster_rcnn", "roi_head", head, "classifies other RoIs than were sampled, or in another order"
    )


class HalvingRetinaHead(RetinaHead):
    """Works on its scores before the loss."""

    def loss_by_feat(self, cls_scores: Any, *args: Any, **kwargs: Any) -> Any:
        return super().loss_by_feat([scores / 2 + 0.25 for scores in cls_scores], *args, **kwargs)


class SwappingRetinaHead(RetinaHead):
    """Mixes images up before the loss."""

    def loss_by_feat(self, cls_scores: Any, *args: Any, **kwargs: Any) -> Any:
        return super().loss_by_feat([scores.flip(0) for scores in cls_scores], *args, **kwargs)


class ShiftingRetinaHead(RetinaHead):
    """Counts classes from 1: 0 is background."""

    def _get_targets_single(self, *args: Any, **kwargs: Any) -> Any:
        labels, *rest = super()._get_targets_single(*args, **kwargs)
        return (torch.where(labels == self.num_classes, 0, labels + 1), *rest)


class SilentRetinaHead(RetinaHead):
    """Has a loss of its own beside ``loss_cls``."""

    def loss_by_feat(self, cls_scores: Any, *args: Any, **kwargs: Any) -> Any:
        return {"loss_own": sum(scores.sum() for scores in cls_scores)}


class OneHotRetinaHead(RetinaHead):
    """Hands one-hot targets to its loss."""

    def loss_by_feat_single(self, cls_score: Tensor, bbox_pred: Tensor, *args: Any, **kwargs: Any) -> Any:
        scores = cls_score.permute(0, 2, 3, 1).reshape(-1, 1)
        return self.loss_cls(scores, torch.zeros_like(scores)), bbox_pred.sum() * 0


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (HalvingRetinaHead, "has places that its classifier did not read"),
        (SwappingRetinaHead, "gave predictions of one image to instances of another"),
        (ShiftingRetinaHead, "gave predictions (labels that are no instances|of one image to)"),
        (SilentRetinaHead, "never asked its loss_cls for a loss"),
        (OneHotRetinaHead, "hands its loss_cls something else than scores"),
    ],
)
def test_heads_that_hand_something_else_to_their_loss(head: type, problem: str) -> None:
    expect_misfit("retinanet", "bbox_head", head, problem)


class TwiceAssigningGFLHead(GFLHead):
    """Matches each image twice."""

    def _get_targets_single(self, *args: Any, **kwargs: Any) -> Any:
        super()._get_targets_single(*args, **kwargs)
        return super()._get_targets_single(*args, **kwargs)


class ReversedGFLHead(GFLHead):
    """Asks its assigner about anchors from the last to the first."""

    def get_targets(self, anchor_list: Any, valid_flag_list: Any, *args: Any, **kwargs: Any) -> Any:
        turned = [[level.flip(0) for level in levels] for levels in anchor_list]
        return super().get_targets(turned, valid_flag_list, *args, **kwargs)


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (TwiceAssigningGFLHead, "asked its assigner about 4 images in a step of 2"),
        (ReversedGFLHead, "shows its assigner priors in another order"),
    ],
)
def test_heads_that_ask_their_assigner_otherwise(head: type, problem: str) -> None:
    expect_misfit("gfl", "bbox_head", head, problem)


class ProbableDETRHead(DETRHead):
    """Matches by probabilities and not by scores, in which the places are lost."""

    def _get_targets_single(self, cls_score: Tensor, *args: Any, **kwargs: Any) -> Any:
        return super()._get_targets_single(cls_score.sigmoid(), *args, **kwargs)


def test_a_set_predictor_that_does_not_show_its_scores() -> None:
    config = detector("detr")
    config.bbox_head.type = ProbableDETRHead
    config.bbox_head.loss_cls = {"type": "FocalLoss", "use_sigmoid": True}
    with pytest.raises(InputError, match="ProbableDETRHead does not show its assigner the scores"):
        Seen(config)


def test_queries_that_a_head_makes_up_are_no_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """DDQ fills up its 900 queries with scores of zero where an image has fewer cells."""
    monkeypatch.setitem(STOCK, "ddq", "mmdet::ddq/ddq-detr-4scale_r50_8xb2-12e_coco.py")
    seen = Seen("ddq")
    carried = [match.scores[:, 1] for match in seen.matches if match.scores is not None]
    assert any((scores == 0).any() for scores in carried), "some were made up"
    real = sum(int((scores != 0).sum()) for scores in carried)
    assert len(seen.places.index) == real, "the others are slots"
    assert len(seen.positive) >= 4


def step(features: Features | None = None) -> tuple[Features, Roster]:
    """Maps of two images with eight places each, instances 0, 1 of the first and 100, 101 of the second."""
    samples = [sample(boxes.clone(), SIZE) for boxes in BOXES]
    samples[1].gt_instances.instance_ids += 100
    features = Features()
    features.images = 2
    features.add(torch.zeros(2, 3, 2, 2), priors=2)
    return features, Roster(samples)


@pytest.mark.parametrize(
    ("index", "ids", "problem"),
    [
        ([0, 7, 8, 15], [0, 1, 100, -1], None),
        ([], [], None),
        ([3, 3], [1, 1], None),
        ([16], [100], "has places that its classifier did not read"),
        ([-1], [-1], "has places that its classifier did not read"),
        ([3, 3], [1, 0], "gave one prediction to two instances"),
        ([3, 3], [1, -1], "gave one prediction to two instances"),
        ([3], [2], "gave predictions labels that are no instances"),
        ([7], [100], "gave predictions of one image to instances of another"),
        ([8], [1], "gave predictions of one image to instances of another"),
    ],
)
def test_what_contradicts_is_said(index: list[int], ids: list[int], problem: str | None) -> None:
    places = Places(torch.tensor(index).long(), torch.tensor(ids).long())
    found = disagreement(places, *step())
    assert (found or "").startswith(problem or ""), found
    assert bool(found) == bool(problem)


def test_rows_tell_their_image_where_one_dimension_counts_images() -> None:
    features = Features()
    features.images = 2
    features.add_rows(torch.zeros(3, 2, 5, 8))  # layers, images, queries
    features.add_rows(torch.zeros(4, 2, 8))  # queries, images
    features.add_rows(torch.zeros(2, 2, 8))  # either
    features.add(torch.zeros(6, 8))  # RoIs
    images = features.image_of(torch.arange(features.count)).tolist()
    assert images == ([0] * 5 + [1] * 5) * 3 + [0, 1] * 4 + [-1] * 4 + [-1] * 6


def test_a_batch_that_a_head_repeats_is_known_again() -> None:
    features, roster = step()
    features.clear()
    features.add(torch.zeros(6, 3, 1, 1))
    right = Places(torch.tensor([0, 1, 4, 5]), torch.tensor([0, 100, 1, 101]))
    assert disagreement(right, features, roster) is None
    assert disagreement(Places(right.index, right.ids.flip(0)), features, roster)


def test_cells_lie_where_their_places_were_read() -> None:
    features = Features()
    features.add(torch.zeros(2, 3, 2, 4), priors=2)
    features.add(torch.zeros(2, 3, 1, 2))
    centre, side = features.cells(torch.tensor([0, 1, 2, 15, 16, 33]))
    wanted = [[0.125, 0.25], [0.125, 0.25], [0.375, 0.25], [0.875, 0.75], [0.125, 0.25], [0.75, 0.5]]
    assert centre.tolist() == wanted
    assert side[0].tolist() == [0.25, 0.5]
    assert side[-1].tolist() == [0.5, 1.0]


@pytest.mark.parametrize("priors", ["points", "points with strides", "boxes"])
def test_priors_lie_in_the_order_of_features(priors: str) -> None:
    features = Features()
    features.add(torch.zeros(1, 3, 16, 16))
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    points = torch.stack([columns, rows], -1).view(-1, 2) * 8
    given = {
        "points": points,
        "points with strides": torch.cat([points, torch.full_like(points, 8)], 1),
        "boxes": torch.cat([points - 30, points + 34], 1),
    }[priors]
    places = torch.arange(256)
    assert lie_in_order(given, places, features, (128, 128))
    assert lie_in_order(given[5:9], places[5:9], features, (128, 128))
    assert not lie_in_order(given.flip(0), places, features, (128, 128))
    assert not lie_in_order(
        given.view(16, 16, -1).transpose(0, 1).reshape(256, -1), places, features, (128, 128)
    )
    moved = given.clone()
    moved[::3] += 100
    assert lie_in_order(moved, places, features, (128, 128)), "a head may have moved some"


def test_what_a_classifier_read_is_what_was_extracted_since_the_one_before() -> None:
    rois = torch.arange(40.0).view(8, 5)
    reads = RoIReads()
    reads.read(None, ((), rois[:2]), {})
    reads.read(None, ((), rois[2:4]), {"roi_scale_factor": 1.0})
    reads.classified()
    reads.classified()
    reads.read(None, ((),), {"rois": rois[4:]})
    reads.classified()
    together = torch.cat([rois[:4], rois[:4], rois[4:]])
    assert reads.agree(together, [4, 4, 4]), "in one call or in several"
    assert reads.agree(torch.cat([rois[:2], rois[2:4], rois[4:]]), [2, 2, 4])
    assert not reads.agree(together.flip(0), [4, 4, 4])
    assert not reads.agree(torch.cat([rois[4:], rois[:4], rois[4:]]), [4, 4, 4])
    reads.clear()
    reads.classified()
    assert reads.agree(rois, [8]), "nothing was watched"


def test_places_and_labels_are_kept_as_a_head_hands_them_over() -> None:
    recorder = Recorder()
    places, labels = torch.tensor([[4.0], [9.0], [2.5]]), torch.tensor([7, BACKGROUND, 3])
    recorder(places, labels, torch.tensor([1.0, 1.0, 0.0]))
    recorder(places, labels)
    assert recorder.problem is None
    kept = recorder.drain()
    assert kept is not None
    assert kept.index.tolist() == [4, 9, 4, 9, -1]
    assert kept.ids.tolist() == [7, BACKGROUND, 7, BACKGROUND, 3]
    recorder(places, torch.zeros(3, 2))
    assert "hands its loss_cls something else" in str(recorder.problem)
    assert recorder.drain() is None
    assert recorder.problem is None
