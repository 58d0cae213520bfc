"""Assigners of every make are recorded where they stand.

Kind: an assigner may be a module with buffers, stand in a list of modules, be asked by ``assign`` or by
calling it, about one image or about a batch, with instances or with plain tensors. Its buffers keep their
names in the checkpoint, the momentum network has one of its own, and what cannot be read is refused by name.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from mmdet.models import GFLHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.task_modules import MlvlPointGenerator
from mmdet.models.task_modules.assigners import AssignResult
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor, nn

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.adapters import base, serves
from aligndet.box_domain.adapters.matches import Match
from aligndet.box_domain.adapters.recorders import CallRecorder, assigners, record_assigners
from aligndet.box_domain.adapters.score import ScoreAdapter
from aligndet.box_domain.slots import IMAGE_STRIDE
from aligndet.common.errors import InputError
from tests.box_domain.adapters.planted import BOXES, Seen
from tests.registration import registered_in
from tests.small import batch, detector


class Counting(nn.Module):
    """Assigns as the assigner inside does, and counts targets in a buffer."""

    matches: Tensor

    def __init__(self, inner: dict) -> None:
        super().__init__()
        self.inner = TASK_UTILS.build(inner)
        self.register_buffer("matches", torch.zeros(()))

    @torch.no_grad()
    def forward(self, pred_instances: Any, *args: Any, **kwargs: Any) -> Any:
        result = self.inner.assign(pred_instances, *args, **kwargs)
        self.matches += (result.gt_inds > 0).sum()
        return result

    def assign(self, pred_instances: Any, *args: Any, **kwargs: Any) -> Any:
        return self(pred_instances, *args, **kwargs)


class OfBatch(nn.Module):
    """Assigns cells to targets for a whole batch at once, in the manner of mmyolo."""

    def __init__(self, says_foreground: bool) -> None:
        super().__init__()
        self.says_foreground = says_foreground

    def forward(
        self,
        pred_bboxes: Tensor,
        pred_scores: Tensor,
        priors: Tensor,
        gt_labels: Tensor,
        gt_bboxes: Tensor,
        pad_bbox_flag: Tensor,
    ) -> dict[str, Tensor]:
        cells = torch.cat([priors[:, :2] - priors[:, 2:] / 2, priors[:, :2] + priors[:, 2:] / 2], 1)
        found = [bbox_overlaps(cells, boxes).max(1) for boxes in gt_bboxes]
        taken = torch.stack([overlap > 0 for overlap, _ in found])  # (B, n)
        nearest = torch.stack([boxes[which] for boxes, (_, which) in zip(gt_bboxes, found, strict=True)])
        answer = {"assigned_bboxes": torch.where(taken[..., None], nearest, 0)}
        return {**answer, "fg_mask_pre_prior": taken} if self.says_foreground else answer


class OfBatchHead(BaseDenseHead):
    """Points of one level, which are matched for the whole batch at once."""

    reverse = False

    def __init__(self, num_classes: int, in_channels: int, says_foreground: bool = True, **_: Any) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.assigner = OfBatch(says_foreground)
        self.prior_generator = MlvlPointGenerator([8])
        self.conv_cls = nn.Conv2d(in_channels, num_classes, 1)
        self.conv_box = nn.Conv2d(in_channels, 4, 1)

    def forward(self, feats: Any) -> Any:
        return self.conv_cls(feats[0]), self.conv_box(feats[0])

    def loss_by_feat(self, scores: Tensor, boxes: Tensor, gts: Any, metas: Any, ignored: Any = None) -> Any:
        (priors,) = self.prior_generator.grid_priors([scores.shape[-2:]], device="cpu", with_stride=True)
        if self.reverse:
            priors = priors.flip(0)
        targets = torch.stack([gt.bboxes for gt in gts])
        flag = torch.ones_like(targets[..., :1])
        answer = self.assigner(boxes.flatten(2).mT, scores.flatten(2).mT, priors, None, targets, flag)
        answer["assigned_bboxes"] /= 8  # as heads do that go on to work with their answer
        return {"loss_bbox": boxes.sum() * 0, "loss_cls": scores.sum() * 0}

    def predict_by_feat(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


class TellingNothing(nn.Module):
    """Answers with something that no target can be read from."""

    def assign(self, pred_instances: Any, *args: Any, **kwargs: Any) -> Any:
        return torch.zeros(3), torch.zeros(3)


@pytest.fixture(autouse=True)
def parts() -> Iterator[None]:
    """Parts of somebody's project, and an adapter for the head."""
    served = dict(base._SERVED)
    serves(OfBatchHead)(type("OfBatchAdapter", (ScoreAdapter,), {}))
    with registered_in(TASK_UTILS, Counting, TellingNothing):
        yield
    base._SERVED.clear()
    base._SERVED.update(served)


def counting(name: str) -> Any:
    config = detector(name)
    inner = config.train_cfg.assigner
    config.train_cfg.assigner = {"type": "Counting", "inner": inner}
    return config


@pytest.mark.parametrize("name", ["gfl", "rtmdet", "detr"])
def test_an_assigner_may_be_a_module(name: str) -> None:
    torch.manual_seed(0)
    stock = set(MODELS.build(counting(name)).state_dict())
    model: Any = BoxDomainPretrainer(counting(name))
    model.init_weights()
    model.train()
    losses = model(**model.data_preprocessor(batch(), True), mode="loss")
    assert losses["positives"] > 0
    online, momentum = (getattr(model, network).bbox_head.assigner for network in ("online", "momentum"))
    assert type(online) is type(momentum) is Counting
    assert online is not momentum
    assert online.matches > 0
    assert momentum.matches > 0
    assert model.online_adapter.matches == model.momentum_adapter.matches == [], "nothing stays after a step"
    assert {key for key in model.online.state_dict() if "assigner" in key} == {"bbox_head.assigner.matches"}
    assert "bbox_head.assigner.matches" in stock


def test_online_and_momentum_network_record_for_themselves() -> None:
    """A copied detector must not write into the matches of the one that it is a copy of."""
    model: Any = BoxDomainPretrainer(counting("gfl"))
    assigner = model.momentum.bbox_head.assigner
    assigner.inner = Opaque()
    assigner.assign(InstanceData(priors=BOXES[0]), InstanceData(bboxes=BOXES[0], labels=torch.zeros(2)))
    assert (len(model.online_adapter.matches), len(model.momentum_adapter.matches)) == (0, 1)
    assert model.online.bbox_head.assigner.matches == 0
    assert model.momentum.bbox_head.assigner.matches == 1


def of_batch(**options: Any) -> Any:
    config = detector("retinanet")
    config.neck = None
    config.backbone.update(out_indices=(1,), base_channels=8)
    config.bbox_head = {"type": OfBatchHead, "num_classes": 80, "in_channels": 16, **options}
    return config


@pytest.mark.parametrize("says_foreground", [True, False])
def test_an_assigner_may_be_asked_about_the_batch(says_foreground: bool) -> None:
    seen = Seen(of_batch(says_foreground=says_foreground))
    assert {number for _, number in seen.positive} == {0, 1, IMAGE_STRIDE, IMAGE_STRIDE + 1}
    seen.check_dense()
    assert len(seen.places.ids) == 2 * 16 * 16
    first = torch.zeros(2 * 16 * 16).long().index_put((seen.places.index,), seen.places.ids).view(2, 16, 16)
    assert first[0, 3, 3] == 0  # 24..32 px, in the box from 6 to 44 and 40
    assert first[0, 12, 12] == 1
    assert first[0, 3, 12] == -1


def test_priors_in_another_order_than_features_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many places as ids, and each in the wrong one: no number tells."""
    monkeypatch.setattr(OfBatchHead, "reverse", True)
    expected = r"OfBatchHead shows its assigner priors in another order .*OfBatchAdapter.*docs/adapters\.md"
    with pytest.raises(InputError, match=expected):
        Seen(of_batch())


def test_an_answer_that_names_no_targets_is_refused() -> None:
    config = detector("gfl")
    config.train_cfg.assigner = {"type": "TellingNothing"}
    with pytest.raises(
        InputError, match=r"GFLHead asks TellingNothing, which answers with a tuple.*adapters\.md"
    ):
        Seen(config)


class Elder:
    """Asked as assigners of mmdet 2 are."""

    def assign(self, bboxes: Tensor, gt_bboxes: Tensor, gt_bboxes_ignore: Any = None) -> AssignResult:
        return AssignResult(len(gt_bboxes), torch.tensor([2, 0, -1]), torch.ones(3), None)


class Opaque:
    """Says nothing of its arguments."""

    def assign(self, *args: Any) -> AssignResult:
        return AssignResult(1, torch.tensor([1]), torch.ones(1), None)


def test_targets_are_found_among_the_arguments_by_name_or_by_what_they_are() -> None:
    calls: list[Match] = []
    elder, opaque = Elder(), Opaque()
    record_assigners([elder, opaque, elder], calls, "MyHead")
    elder.assign(torch.zeros(3, 4), gt_bboxes=BOXES[0])
    opaque.assign(InstanceData(scores=torch.ones(1, 1)), InstanceData(bboxes=BOXES[1], labels=torch.zeros(2)))
    assert [match.boxes.tolist() for match in calls] == [BOXES[0].tolist(), BOXES[1].tolist()]
    assert [match.targets.tolist() for match in calls] == [[2, 0, -1], [1]]
    assert calls[1].scores is not None
    with pytest.raises(
        InputError, match=r"MyHead asks Opaque with \(args\[0\]\), and none of these.*targets"
    ):
        opaque.assign(InstanceData(scores=torch.ones(1, 1)))


def test_assigners_are_found_in_lists_and_mappings() -> None:
    one, two, three = Counting.__new__(Counting), Elder(), Opaque()
    nn.Module.__init__(one)
    held = [nn.ModuleList([one]), {"two": [two], "none": None}, (three, three)]
    assert list(assigners(held)) == [one, two, three, three]
    assert list(assigners(nn.ModuleDict({"one": one}))) == [one]


def test_arguments_are_kept_in_the_order_of_the_parameters() -> None:
    calls: list[tuple[tuple, Any]] = []
    recorder = CallRecorder(lambda first, second, third=3: first + second, calls)
    assert recorder(second=2, first=1) == 3
    assert calls == [((1, 2), 3)]


def test_gfl_asks_by_assign() -> None:
    """The head that these tests build on does what they suppose."""
    head: Any = MODELS.build({**detector("gfl").bbox_head, "train_cfg": detector("gfl").train_cfg})
    assert isinstance(head, GFLHead)
    assert callable(head.assigner.assign)
