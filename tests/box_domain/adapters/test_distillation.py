"""Of a detector that learns from another one, the plain detector that it is built on.

Kind: distillation of others (CrossKD), whose keys for the other detector have names of their own and whose
heads may be given the other's outputs.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from mmdet.models import GFLHead, RetinaHead, SingleStageDetector
from mmdet.models.detectors import BaseDetector, KnowledgeDistillationSingleStageDetector
from mmdet.registry import MODELS
from mmengine.config import ConfigDict

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.adapters import student
from aligndet.common.errors import InputError
from aligndet.transfer.stock import build_stock
from tests.registration import registered_in
from tests.small import batch, detector, tiny


class _Unregistered(SingleStageDetector):
    """Stands between a distiller and mmdet's class."""


class Follower(_Unregistered):
    """Neither of its keys has a word for a teacher."""

    def __init__(self, backbone: Any, neck: Any, bbox_head: Any, mentor: Any, mimic_cfg: Any, **options: Any):
        raise AssertionError("it is never built")


class Crossed(KnowledgeDistillationSingleStageDetector):
    """Hands on what it does not know, as CrossKD's detectors do."""

    def __init__(self, *args: Any, kd_cfg: Any, **kwargs: Any) -> None:
        raise AssertionError("it is never built")


class OnItsOwn(BaseDetector):
    """Is built on no detector of mmdet's."""

    def __init__(self, backbone: Any, bbox_head: Any, teacher: Any) -> None:
        raise AssertionError("it is never built")


class Hides(SingleStageDetector):
    """Makes a detector of its own to learn from, out of sight of torch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.others = [MODELS.build(without_preprocessor())]


class TaughtHead(GFLHead):
    """Is given the scores of the other detector."""

    def __init__(self, *args: Any, loss_kd: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.loss_kd = loss_kd

    def loss(self, x: Any, scores_of_the_other: Any, batch_data_samples: Any) -> Any:
        raise AssertionError("it is never called so")


class RenamedHead(RetinaHead):
    """Is given no more than mmdet's, by other names."""

    def loss(self, feats: Any, samples: Any) -> Any:
        return super().loss(feats, samples)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with registered_in(MODELS, Follower, Crossed, OnItsOwn, Hides):
        yield


def without_preprocessor() -> ConfigDict:
    config = tiny()
    del config.data_preprocessor
    return config


OF_FOLLOWER = {"mentor": "other.py", "mimic_cfg": {"weight": 1}}
OF_FOLLOWER_BY_VALUE = {"mentor": {"model": tiny()}, "mimic_cfg": {"weight": 1}}
OF_CROSSED = {"teacher_config": "other.py", "teacher_ckpt": "https://x/y.pth", "kd_cfg": {"weight": 1}}


@pytest.mark.parametrize(
    ("kind", "keys"),
    [("Follower", OF_FOLLOWER), ("Follower", OF_FOLLOWER_BY_VALUE), ("Crossed", OF_CROSSED)],
)
def test_the_nearest_plain_registered_ancestor_with_the_keys_it_takes(kind: str, keys: dict) -> None:
    config = ConfigDict({**tiny(), "type": kind, **keys})
    plain = student(config)
    assert plain.type is SingleStageDetector
    assert set(plain) == set(tiny())
    assert plain.bbox_head == tiny().bbox_head
    torch.manual_seed(0)
    model: Any = BoxDomainPretrainer(config)
    assert type(model.online) is SingleStageDetector
    assert sorted(model.left_out) == sorted(keys)
    assert model(**model.data_preprocessor(batch(), True))["positives"] > 0
    assert set(model.online.state_dict()) < set(build_stock(config).state_dict())


def test_a_head_that_is_given_the_others_outputs_is_replaced_by_mmdets() -> None:
    config = ConfigDict({**detector("gfl"), "type": "Crossed", **OF_CROSSED})
    config.bbox_head.update(type=TaughtHead, loss_kd={"type": "L1Loss"})
    head = student(config).bbox_head
    assert head.type is GFLHead
    assert "loss_kd" not in head
    assert head.reg_max == config.bbox_head.reg_max
    assert type(BoxDomainPretrainer(config).online.bbox_head) is GFLHead


def test_a_head_that_renames_its_arguments_stays() -> None:
    config = ConfigDict({**tiny(), "type": "Follower", **OF_FOLLOWER})
    config.bbox_head.type = RenamedHead
    assert student(config).bbox_head.type is RenamedHead


def test_a_plain_detector_stays_itself() -> None:
    config = tiny()
    assert student(config) is config
    unknown = ConfigDict(type="NobodyKnows", mentor="other.py")
    assert student(unknown) is unknown


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            ConfigDict(
                type="OnItsOwn", teacher={"type": "x"}, **{k: tiny()[k] for k in ("backbone", "bbox_head")}
            ),
            r"OnItsOwn learns from another detector \(teacher\) and is built on no plain one",
        ),
        (ConfigDict({**tiny(), "type": "Hides"}), r"Hides holds another detector \(others\)"),
    ],
)
def test_what_has_no_plain_detector_is_named(config: ConfigDict, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        BoxDomainPretrainer(config)
    assert "\n" not in str(caught.value)
