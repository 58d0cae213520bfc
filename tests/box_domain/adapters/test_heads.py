"""Which head predicts, whatever shape the config has.

Kind: a detector trains several heads on one neck, in lists and under keys of its own (Co-DETR). One predicts,
which is pre-trained; the others only help and are left out. Where nothing says which one, or a key has not
the shape that every adapter reads, one line names class and key before anything is built.
"""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from torch import nn

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.adapters import adapter_for, boxes_only
from aligndet.box_domain.adapters.heads import head_key, helper_keys
from aligndet.box_domain.adapters.label import AnchorAdapter
from aligndet.common.errors import InputError
from aligndet.transfer.fit import fit
from aligndet.transfer.stock import box_part_keys, build_stock, classifier_layers
from tests.registration import registered_in
from tests.small import batch, detector, tiny


class SeveralHeads(BaseDetector):
    """``query_head`` predicts. ``bbox_head`` and ``aux_head``, which has no default, help it to learn."""

    def __init__(
        self,
        backbone: Any,
        neck: Any,
        query_head: Any,
        aux_head: Any,
        bbox_head: Any = (),
        train_cfg: Any = (),
        test_cfg: Any = (),
        data_preprocessor: Any = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.backbone, self.neck = MODELS.build(backbone), MODELS.build(neck)
        given = {"train_cfg": train_cfg[0], "test_cfg": test_cfg[0]}
        self.query_head = MODELS.build({**query_head, **given})
        self.bbox_head = nn.ModuleList([MODELS.build({**head, **given}) for head in bbox_head])
        if aux_head is not None:
            self.aux_head = MODELS.build({**aux_head, **given})

    def extract_feat(self, batch_inputs: Any) -> Any:
        return self.neck(self.backbone(batch_inputs))

    def loss(self, batch_inputs: Any, batch_data_samples: Any) -> Any:
        x = self.extract_feat(batch_inputs)
        losses = self.query_head.loss(x, batch_data_samples)
        for number, head in enumerate([*self.bbox_head, *([self.aux_head] if self.needs_help else [])]):
            found = head.loss(x, batch_data_samples)
            losses.update({f"{number}.{key}": value for key, value in found.items()})
        return losses

    needs_help = False
    predict = _forward = None


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with registered_in(MODELS, SeveralHeads):
        yield


def several() -> ConfigDict:
    model = tiny()
    head = model.pop("bbox_head")
    model.update(type="SeveralHeads", query_head=head, bbox_head=[head], aux_head=copy.deepcopy(head))
    model.update(train_cfg=[model.train_cfg], test_cfg=[model.test_cfg])
    return model


def test_the_head_that_predicts_is_trained_and_its_helpers_are_left_out() -> None:
    config = several()
    assert (head_key(config), helper_keys(config)) == ("query_head", ["bbox_head", "aux_head"])
    assert adapter_for(config) is AnchorAdapter
    torch.manual_seed(0)
    model: Any = BoxDomainPretrainer(config)
    model.init_weights()
    model.train()
    assert model.left_out == ["bbox_head", "aux_head"]
    losses = model(**model.data_preprocessor(batch(), True))
    assert set(losses) == {"loss_bbox", "loss_contrast", "positives"}
    assert losses["positives"] > 0
    model.parse_losses(losses)[0].backward()
    assert model.online.query_head.cls_convs[0].conv.weight.grad.any()
    assert not any(name.startswith(("online.bbox", "online.aux")) for name, _ in model.named_parameters())


def test_the_export_has_the_head_and_leaves_its_helpers_as_they_start() -> None:
    config = several()
    model: Any = BoxDomainPretrainer(config)
    model.init_weights()
    stock, classifiers = build_stock(config), classifier_layers(config)
    layers = [f"{head}.retina_cls" for head in ("query_head", "bbox_head.0", "aux_head")]
    assert sorted(classifiers) == sorted(layers)
    state, report = fit(model.online.state_dict(), stock, classifiers, "x", "online", box_part_keys(config))
    assert torch.equal(state["query_head.retina_reg.weight"], model.online.query_head.retina_reg.weight)
    assert {report.parts[key] for key in report.initial} == {"aux_head", "bbox_head.0"}
    assert not report.missing
    assert not report.dropped


def test_what_the_detector_cannot_do_without_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SeveralHeads, "needs_help", True)
    model: Any = BoxDomainPretrainer(several())
    with pytest.raises(InputError, match="SeveralHeads cannot do without bbox_head, aux_head") as caught:
        model(**model.data_preprocessor(batch(), True))
    assert "\n" not in str(caught.value)


def without(**values: Any) -> ConfigDict:
    return ConfigDict({**tiny(), **values})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (without(bbox_head=[tiny().bbox_head] * 2), r"detector\.bbox_head: RetinaNet has a list of 2 heads"),
        (without(bbox_head="a.py"), r"detector\.bbox_head: expected the config of a head"),
        (without(bbox_head={"num_classes": 3}), r"detector\.bbox_head: expected the config of a head"),
        (without(bbox_head=None), "no query_head, roi_head, bbox_head or rpn_head, so"),
        (
            without(bbox_head=None, mask_head={"type": "FCNMaskHead"}),
            "rpn_head, but mask_head, so it predicts",
        ),
        (without(backbone=[tiny().backbone] * 2), r"detector\.backbone: .* RetinaNet, .* got a list"),
        (without(backbone=None), r"detector\.backbone: .* got none"),
        (
            ConfigDict({**detector("faster_rcnn"), "train_cfg": [{}]}),
            r"train_cfg: .* rcnn.* FasterRCNN, got a",
        ),
        (
            ConfigDict({**detector("faster_rcnn"), "train_cfg": None}),
            r"train_cfg: .* rcnn.* FasterRCNN, got n",
        ),
        (
            without(bbox_head=None, roi_head={"type": "StandardRoIHead"}),
            "no bbox_head in the RoI head of Retina",
        ),
    ],
)
def test_a_shape_that_no_adapter_reads_is_named(config: ConfigDict, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        BoxDomainPretrainer(config)
    assert "\n" not in str(caught.value)


def test_a_plain_detector_stays_as_it_is() -> None:
    config = tiny()
    assert helper_keys(config) == []
    assert boxes_only(copy.deepcopy(config)) == config


def test_a_head_without_a_layer_that_follows_its_classes_is_named() -> None:
    """Kind: scores are products with given class vectors, so there is no classifier."""

    class Compares(MODELS.get("RetinaHead")):  # type: ignore[misc]
        def _init_layers(self) -> None:
            super()._init_layers()
            self.retina_cls = nn.Conv2d(self.feat_channels, 16, 1)

    config = tiny()
    config.bbox_head.type = Compares
    with pytest.raises(InputError, match=r"no layer of .*Compares.* follows its num_classes"):
        BoxDomainPretrainer(config)
