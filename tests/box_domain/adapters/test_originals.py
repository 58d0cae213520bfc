"""A detector gives itself its initial weights as mmdet built it.

Kind: heads that touch their classifier in ``init_weights`` (EfficientDet, many own heads), after an adapter
put something else in its place.
"""

from typing import Any

import pytest
import torch
from mmdet.models import RetinaHead, Shared2FCBBoxHead
from mmengine.config import ConfigDict
from torch import nn

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.adapters.originals import Originals
from aligndet.box_domain.adapters.pointer import BACKGROUND, Pointer, Recorder
from aligndet.box_domain.adapters.roi import ZeroLogits
from tests.small import batch, detector, tiny


class Rare(RetinaHead):
    """Writes into weight and bias of its classifier when all else is initialised."""

    seen: dict[str, Any]

    def init_weights(self) -> None:
        super().init_weights()
        nn.init.normal_(self.retina_cls.weight, std=0.5)
        self.retina_cls.bias.data[:] = -6.0
        self.retina_reg.weight.data.uniform_()  # drawn behind the classifier's
        type(self).seen = {
            "classes": self.num_classes,
            "channels": self.cls_out_channels,
            "loss": self.loss_cls,
        }


class Usual(RetinaHead):
    """The same without the classifier."""

    def init_weights(self) -> None:
        super().init_weights()
        self.retina_reg.weight.data.uniform_()


class RareBoxes(Shared2FCBBoxHead):
    def init_weights(self) -> None:
        super().init_weights()
        self.fc_cls.bias.data[-1] = 4.0
        self.fc_cls.weight.data.mul_(0.1)


class Block(nn.Module):
    """A convolution of each channel, and one over channels: the last is what follows the classes."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.each = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.last = nn.Conv2d(channels, out, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.each(x))


class InABlock(RetinaHead):
    """Has its classifier a module deeper than its loss."""

    def _init_layers(self) -> None:
        super()._init_layers()
        self.retina_cls = Block(self.feat_channels, self.num_base_priors * self.cls_out_channels)

    def init_weights(self) -> None:
        nn.init.normal_(self.retina_cls.last.weight, std=0.1)


def with_head(head: type) -> ConfigDict:
    config = tiny()
    config.bbox_head.type = head
    return config


def built(config: ConfigDict) -> Any:
    torch.manual_seed(0)
    model = BoxDomainPretrainer(config)
    torch.manual_seed(1)
    model.init_weights()
    return model


def test_a_head_finds_its_classifier_and_adapters_find_their_stand_ins_after() -> None:
    model = built(with_head(Rare))
    assert Rare.seen["classes"] == Rare.seen["channels"] == 1
    assert type(Rare.seen["loss"]).__name__ == "FocalLoss"
    for network in (model.online, model.momentum):
        head = network.bbox_head
        assert isinstance(head.retina_cls, Pointer)
        assert isinstance(head.loss_cls, Recorder)
        assert (head.num_classes, head.cls_out_channels) == (BACKGROUND, 1)
    original = model.online_adapter.originals._kept[0][2]
    assert (original.bias == -6).all()
    model.train()
    losses = model(**model.data_preprocessor(batch(), True))
    assert losses["positives"] > 0


def test_what_is_trained_is_known_before_and_starts_as_without_a_classifier() -> None:
    """mmengine builds the optimiser first; and what a classifier draws changes no other initial value."""
    torch.manual_seed(0)
    model: Any = BoxDomainPretrainer(with_head(Rare))
    before = dict(model.named_parameters())
    torch.manual_seed(1)
    model.init_weights()
    after = dict(model.named_parameters())
    assert before.keys() == after.keys()
    assert all(before[key] is after[key] for key in before)
    usual = built(with_head(Usual)).online.state_dict()
    mine = model.online.state_dict()
    assert mine.keys() == usual.keys()
    assert not [key for key in mine if not torch.equal(mine[key], usual[key])]


def test_a_roi_head_finds_its_classifier() -> None:
    config = detector("faster_rcnn")
    config.roi_head.bbox_head.type = RareBoxes
    model = built(config)
    head = model.online.roi_head.bbox_head
    assert isinstance(head.fc_cls, ZeroLogits)
    (original,) = (kept[2] for kept in model.online_adapter.originals._kept)
    assert original.bias.tolist() == [0.0, 4.0]


def test_a_classifier_inside_of_a_block_is_read_through_the_loss_of_the_head() -> None:
    model = built(with_head(InABlock))
    head = model.online.bbox_head
    assert isinstance(head.retina_cls.last, Pointer)
    assert isinstance(head.loss_cls, Recorder)
    model.train()
    losses = model(**model.data_preprocessor(batch(), True))
    assert losses["positives"] > 0
    model.parse_losses(losses)[0].backward()
    assert head.retina_cls.each.weight.grad.any(), "what comes before the classifier learns"


def test_weights_that_a_config_names_are_loaded(tmp_path: Any) -> None:
    """A whole detector's checkpoint in ``init_cfg``, whose classifier has other classes."""
    source = built(tiny()).online.state_dict()
    source = {key: torch.full_like(value, 0.25) for key, value in source.items() if "neck" in key}
    source["bbox_head.retina_cls.weight"] = torch.ones(9 * 80, 32, 3, 3)
    torch.save({"state_dict": source}, tmp_path / "whole.pth")
    config = tiny()
    config.init_cfg = {"type": "Pretrained", "checkpoint": str(tmp_path / "whole.pth")}
    model = built(config)
    for network in (model.online, model.momentum):
        assert (network.neck.fpn_convs[0].conv.weight == 0.25).all()


def test_everything_is_put_back_where_initialising_fails() -> None:
    owner, stand_in = nn.Linear(2, 2), nn.Identity()
    originals = Originals()
    originals.replace(owner, "weight_norm", stand_in)
    original = nn.Linear(2, 3)
    owner.inner = original
    originals.replace(owner, "inner", stand_in)

    def initialise() -> None:
        assert owner.inner is original
        assert not hasattr(owner, "weight_norm"), "it had none"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), originals.in_place():
        initialise()
    assert owner.inner is owner.weight_norm is stand_in
