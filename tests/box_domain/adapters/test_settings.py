"""The paper's settings of each family, and the numbers that decide what a slot is."""

from typing import Any

import pytest
import torch

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.adapters import adapter_for
from aligndet.box_domain.adapters.matches import Match, best_or
from aligndet.box_domain.adapters.roi import RoIAdapter, jitter
from aligndet.box_domain.adapters.roster import LEFT_OUT
from aligndet.box_domain.adapters.score import OverlapAdapter
from aligndet.box_domain.slots import NO_INSTANCE
from tests.small import detector

#: Detector -> slots, counted per, side of the neighbourhood, width that the projector reads, its outputs.
SETTINGS = {
    "retinanet": (2048, "image", 1, 256, 9 * 256),
    "fcos": (2048, "batch", 3, 9 * 256, 256),
    "faster_rcnn": (0, "batch", 1, 64, 256),
    "detr": (2048, "batch", 1, 256, 256),
    "gfl": (2048, "image", 1, 256, 256),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_slots_and_projectors_are_the_papers(name: str) -> None:
    model = BoxDomainPretrainer(detector(name))
    adapter: Any = model.online_adapter
    projector = adapter.projectors[0]
    found = (adapter.num_slots, adapter.per, adapter.features.kernel, projector.hidden.in_features)
    assert (*found, projector.out.out_features) == SETTINGS[name]
    assert (adapter.pos_fraction, model.temperature, model.loss_weight) == (1.0, 0.5, 1.0)


def test_the_paper_samples_4096_rois_without_background() -> None:
    config = detector("faster_rcnn")
    adapter_for(config).prepare(config, 1)
    rpn, rcnn = config.train_cfg.rpn.sampler, config.train_cfg.rcnn.sampler
    assert rpn == {
        "type": "RandomSampler",
        "num": 4096,
        "pos_fraction": 1.0,
        "neg_pos_ub": -1,
        "add_gt_as_proposals": False,
    }
    assert rcnn == {**rpn, "neg_pos_ub": 0, "add_gt_as_proposals": True}


def test_anchors_across_the_border_take_part() -> None:
    """Else the head shows its assigner fewer anchors than it has, and places move."""
    config = detector("gfl")
    config.train_cfg.allowed_border = 0
    config.bbox_head.parts = [{"allowed_border": 3}]
    adapter_for(config).prepare(config, 1)
    assert config.train_cfg.allowed_border == -1
    assert config.bbox_head.parts == [{"allowed_border": -1}]


def test_enough_overlap_or_the_best_of_a_proposal() -> None:
    ids = torch.tensor([0, 0, 0, 1, 1, NO_INSTANCE, LEFT_OUT])
    overlaps = torch.tensor([0.9, 0.5, 0.49, 0.3, 0.2, 0.9, 0.9])
    assert best_or(0.5, ids, overlaps).tolist() == [True, True, False, True, False, False, False]


def test_paa_keeps_what_overlaps_half_or_most() -> None:
    ids = torch.tensor([0, 0, 0, 1, 1, NO_INSTANCE])
    none = torch.zeros(0)
    match = Match(none, none, none, overlaps=torch.tensor([0.9, 0.51, 0.49, 0.3, 0.2, 0.0]))
    kept = OverlapAdapter.thinned(object.__new__(OverlapAdapter), ids, match)
    assert kept.tolist() == [0, 0, LEFT_OUT, 1, LEFT_OUT, NO_INSTANCE]


def test_jittered_copies_stay_near_their_proposal_and_inside_the_image() -> None:
    torch.manual_seed(0)
    boxes = torch.tensor([[100.0, 100.0, 140.0, 180.0], [0.0, 0.0, 50.0, 50.0]])
    copies = jitter(boxes, RoIAdapter.COPIES, RoIAdapter.JITTER, (200, 300))
    assert copies.shape == (8 * 2, 4)
    many = jitter(boxes[:1], 2000, RoIAdapter.JITTER, (200, 300))
    moved = (many - boxes[0]).abs() / torch.tensor([40.0, 80.0, 40.0, 80.0])
    assert 0.14 < moved.max() <= 0.15 + 1e-6, "a side moves by up to 15 % of the box"
    edge = jitter(torch.tensor([[0.0, 0.0, 300.0, 200.0]]), 2000, RoIAdapter.JITTER, (200, 300))
    assert edge[:, :2].min() == 0
    assert edge.amax(0)[2:].tolist() == [300, 200]
