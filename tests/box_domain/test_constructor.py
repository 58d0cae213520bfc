"""The optimiser of a pre-training follows the rules that the detector's own config has, by its own names."""

from typing import Any

import pytest
from mmengine.optim import DefaultOptimWrapperConstructor, build_optim_wrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, init_default_scope

from aligndet.box_domain import BoxDomainPretrainer
from tests.small import tiny

SEEN: dict[str, Any] = {}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LooksAtTheDetector(DefaultOptimWrapperConstructor):
    """Reads parts and names of the detector, as constructors for layer-wise rates do."""

    def __call__(self, model: Any) -> Any:
        SEEN.update(kind=type(model).__name__, backbone=type(model.backbone).__name__)
        SEEN["parts"] = {name.split(".")[0] for name, _ in model.named_parameters()}
        return super().__call__(model)


@pytest.fixture(scope="module")
def pretrainer() -> BoxDomainPretrainer:
    init_default_scope("mmdet")
    return BoxDomainPretrainer(tiny())


def built(pretrainer: BoxDomainPretrainer, **paramwise: Any) -> Any:
    optimizer = {"type": "AdamW", "lr": 1.0, "weight_decay": 0.5}
    wrapper = {
        "optimizer": optimizer,
        "constructor": "aligndet.DetectorConstructor",
        "paramwise_cfg": paramwise,
    }
    return build_optim_wrapper(pretrainer, wrapper).optimizer


def test_rules_by_name_reach_the_parts_that_they_name(pretrainer: BoxDomainPretrainer) -> None:
    """Kind: paramwise_cfg; the momentum network shares the backbone, which must not be a duplicate."""
    optimizer = built(pretrainer, bias_decay_mult=0.0, custom_keys={"neck": {"lr_mult": 0.1}})
    names = {id(parameter): name for name, parameter in pretrainer.named_parameters()}
    groups = {names[id(group["params"][0])]: group for group in optimizer.param_groups}
    assert groups["online.neck.lateral_convs.0.conv.weight"]["lr"] == 0.1
    assert groups["online.bbox_head.retina_reg.bias"]["weight_decay"] == 0.0
    assert groups["online.bbox_head.retina_reg.weight"]["weight_decay"] == 0.5
    trained = {name for name, parameter in pretrainer.named_parameters() if parameter.requires_grad}
    assert set(groups) == trained, "projectors too, the momentum network and the frozen backbone not"


def test_a_user_s_constructor_sees_the_detector(pretrainer: BoxDomainPretrainer) -> None:
    """Kind: constructors that ask ``model.backbone`` for its class, and read names from their start."""
    built(pretrainer, constructor="LooksAtTheDetector")
    assert (SEEN["kind"], SEEN["backbone"]) == ("RetinaNet", "ResNet")
    assert SEEN["parts"] == {"backbone", "neck", "bbox_head", "aligndet"}
    assert "aligndet" not in dict(pretrainer.online.named_children()), "shown, and not put in"


def test_mmdet_s_layer_wise_constructor_builds(pretrainer: BoxDomainPretrainer) -> None:
    from mmdet.engine.optimizers import LearningRateDecayOptimizerConstructor as Kind

    rules = {"decay_rate": 0.9, "decay_type": "layer_wise", "num_layers": 2}
    pretrainer.online.backbone.__class__.__name__, before = "ConvNeXtOfTest", "ResNet"
    try:
        optimizer = built(pretrainer, constructor=Kind, **rules)
    finally:
        pretrainer.online.backbone.__class__.__name__ = before
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.5}
