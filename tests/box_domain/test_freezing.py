"""Freezing holds for every kind of backbone: passes in training mode are equal, and steps leave no trace."""

from typing import Any

import pytest
import timm
import torch
from mmdet.models import backbones
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import Tensor, nn
from torch.nn import functional

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.freezing import freeze, hold_still
from aligndet.common.configs import read_config
from aligndet.comparison.hooks import FreezeBackboneHook
from aligndet.transfer.stock import without_downloads
from tests.box_domain.zoo_backbones import BACKBONES
from tests.small import batch, detector, fill

#: Of weights that decay and move as fast as can be, so that a step shows what it reaches.
OPTIMISER = {"type": "SGD", "lr": 0.5, "momentum": 0.9, "weight_decay": 0.1}


def built(name: str) -> Any:
    torch.manual_seed(0)
    init_default_scope("mmdet")
    backbone = MODELS.build({"type": name, **BACKBONES[name]})
    fill(backbone)
    return backbone


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_same(before: dict[str, Tensor], after: dict[str, Tensor]) -> None:
    assert before.keys() == after.keys()
    moved = [name for name, value in before.items() if not torch.equal(value, after[name])]
    assert not moved


def test_every_backbone_of_mmdet_is_tried() -> None:
    assert set(backbones.__all__) <= set(BACKBONES)


def outputs(backbone: Any, image: Tensor) -> list[Tensor]:
    found = backbone(image)
    return list(found) if isinstance(found, (tuple, list)) else [found]


@pytest.mark.parametrize("name", BACKBONES)
def test_a_frozen_backbone_is_still_in_training(name: str) -> None:
    backbone = built(name)
    image = torch.randn(2, 3, 64, 64)
    before = state_of(backbone)
    freeze(backbone)
    backbone.train()
    hold_still(backbone)
    first, second = outputs(backbone, image), outputs(backbone, image)
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other), "nothing is drawn at random"
        assert not one.requires_grad
    assert_same(before, state_of(backbone))
    backbone.eval()
    alone = outputs(backbone, image)
    if name == "TridentResNet":
        assert len(first[0]) == 3 * len(alone[0]), "its branches are those of training"
    else:
        for one, other in zip(first, alone, strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", ["SwinTransformer", "CSPDarknet", "EfficientNet"])
def test_the_check_sees_a_backbone_that_is_not_held(name: str) -> None:
    backbone = built(name)
    freeze(backbone)
    backbone.train()
    before = state_of(backbone)
    image = torch.randn(2, 3, 64, 64)
    first, second = outputs(backbone, image), outputs(backbone, image)
    moved = any(not torch.equal(value, before[key]) for key, value in backbone.state_dict().items())
    assert moved or any(not torch.equal(a, b) for a, b in zip(first, second, strict=True))


class Scaled(BaseModel):
    """A detector in small: a backbone, and one learned number over what it gives."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = "loss") -> dict[str, Tensor]:
        levels = [level.mean() for level in outputs(self.backbone, inputs)]
        return {"loss": self.scale * torch.stack(levels).sum()}


@pytest.mark.parametrize("name", BACKBONES)
def test_steps_of_a_comparison_leave_a_frozen_backbone_as_it_was(name: str) -> None:
    """Bit for bit, parameters and statistics, by mmengine's own step; the other weights move."""
    model = Scaled(built(name))
    hook = FreezeBackboneHook(model)
    before = state_of(model.backbone)
    optimiser = build_optim_wrapper(model, {"type": "OptimWrapper", "optimizer": OPTIMISER})
    for _ in range(2):
        model.train()  # as mmengine's loop does
        hook.before_train_iter(None, 0)
        model.train_step({"inputs": torch.randn(2, 3, 64, 64)}, optimiser)
    assert_same(before, state_of(model.backbone))
    assert model.scale.item() != 1


def retinanet(name: str) -> ConfigDict:
    """A narrow RetinaNet with levels as the backbone gives them, for images of 128 px."""
    backbone = built(name)
    backbone.eval()  # which returns nothing where mmdet overrides train()
    with torch.no_grad():
        levels = outputs(backbone, torch.randn(1, 3, 128, 128))
    model = detector("retinanet")
    model.backbone = ConfigDict(type=name, **BACKBONES[name])
    model.neck.update(
        in_channels=[level.shape[1] for level in levels], start_level=0, num_outs=len(levels), out_channels=16
    )
    model.bbox_head.update(in_channels=16, feat_channels=16, stacked_convs=1)
    model.bbox_head.anchor_generator.strides = [128 // level.shape[-1] for level in levels]
    return model


@pytest.mark.parametrize("name", BACKBONES)
def test_a_step_of_pretraining_leaves_the_backbone_as_it_was(name: str) -> None:
    """Bit for bit, parameters and statistics, by mmengine's own step; the neck or the head moves."""
    torch.manual_seed(0)
    init_default_scope("mmdet")
    if name == "TridentResNet":
        config = detector("tridentnet")
        config.backbone.update(norm_eval=False, frozen_stages=-1)
    else:
        config = retinanet(name)
    model = BoxDomainPretrainer(config)
    fill(model)
    before, rest = state_of(model.online.backbone), state_of(model.online)
    optimiser = build_optim_wrapper(model, {"type": "OptimWrapper", "optimizer": {**OPTIMISER, "lr": 1e-3}})
    model.train()
    model.train_step(batch(), optimiser)
    assert_same(before, state_of(model.online.backbone))
    trained = {key: value for key, value in state_of(model.online).items() if not key.startswith("backbone.")}
    assert any(not torch.equal(value, rest[key]) for key, value in trained.items())


class HandsItsModeOn(nn.Module):
    """Draws by a rate of its own, as attention that calls a fused function does."""

    def __init__(self) -> None:
        super().__init__()
        self.attn_drop = 0.5

    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.attn_drop, self.training)


class OfALayer(nn.Module):
    """Draws by the rate of a dropout layer that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.drop.p, self.training)


class Counts(nn.Module):
    """Keeps a mean of what passes, and is no norm that torch knows."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean += 0.1 * (x.mean() - self.mean)
        return x - self.mean


class SetsFree(nn.Linear):
    """Makes its weights trainable at every change of mode, as backbones with frozen parts of their own do."""

    def train(self, mode: bool = True) -> "SetsFree":
        self.requires_grad_(True)
        return super().train(mode)


@pytest.mark.parametrize(
    "layer",
    [
        HandsItsModeOn,
        OfALayer,
        Counts,
        lambda: SetsFree(8, 8),
        lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8)),
        lambda: nn.LSTM(8, 8, num_layers=2, dropout=0.5, batch_first=True),
        nn.RReLU,
        lambda: timm.layers.attention.Attention(8, num_heads=2, attn_drop=0.5),
    ],
)
def test_layers_of_others_that_draw_or_count_are_held(layer: Any) -> None:
    """The kind: what changes by itself in training mode, under no name that torch or mmdet gave it."""
    torch.manual_seed(0)
    model = nn.Sequential(layer())
    x = torch.randn(2, 4, 8)
    freeze(model)
    model.train()
    hold_still(model)
    before = state_of(model)
    first, second = (model(x) for _ in range(2))
    first, second = (found[0] if isinstance(found, tuple) else found for found in (first, second))
    assert torch.equal(first, second)
    assert not first.requires_grad
    assert_same(before, state_of(model))


def test_layers_that_neither_draw_nor_count_are_not_held() -> None:
    """A rate of zero draws nothing: what else such a layer does by its mode goes on."""
    layer = HandsItsModeOn()
    layer.attn_drop = 0.0
    model = nn.Sequential(layer, nn.Linear(8, 8), nn.BatchNorm1d(8))
    hold_still(model.train())
    assert [one.training for one in model] == [True, True, False]


def test_a_shared_head_is_head_and_not_backbone() -> None:
    """C4: the last stage of the ResNet stands in the RoI head, and is trained."""
    torch.manual_seed(0)
    model = BoxDomainPretrainer(
        without_downloads(read_config("mmdet::faster_rcnn/faster-rcnn_r50-caffe-c4_ms-1x_coco.py").model)
    )
    model.train()
    data = model.data_preprocessor(batch(), True)
    model.parse_losses(model(**data, mode="loss"))[0].backward()
    shared = model.online.roi_head.shared_head.layer4
    assert all(p.grad is not None and p.grad.any() for n, p in shared.named_parameters() if "conv" in n)
    assert all(p.grad is None for p in model.online.backbone.parameters())
