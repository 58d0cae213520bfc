"""The pre-trainer: needs nothing but a detector, trains neck and heads, leaves the backbone alone."""

from typing import Any

import pytest
import torch
from torch.nn.modules.batchnorm import _NormBase

from aligndet.box_domain import BoxDomainPretrainer, pretrainer
from aligndet.box_domain.pretrainer import number_instances
from aligndet.box_domain.slots import IMAGE_STRIDE
from aligndet.common.errors import InputError
from aligndet.registry import MODELS
from tests.small import STOCK, batch, detector, sample, tiny

BOX_LOSSES = {
    "retinanet": {"loss_bbox"},
    "fcos": {"loss_bbox", "loss_centerness"},
    "faster_rcnn": {"loss_rpn_cls", "loss_rpn_bbox", "loss_bbox"},
    "mask_rcnn": {"loss_rpn_cls", "loss_rpn_bbox", "loss_bbox"},
    "detr": {"loss_cls", "loss_bbox", "loss_iou", "d0.loss_cls", "d0.loss_bbox", "d0.loss_iou"},
}


def step(model: BoxDomainPretrainer, **options: Any) -> dict[str, Any]:
    data = model.data_preprocessor(batch(**options), True)
    losses = model(**data, mode="loss")
    total, _ = model.parse_losses(losses)
    total.backward()
    return losses


def as_float(loss: Any) -> float:
    return float(sum(x.sum() for x in loss) if isinstance(loss, list) else loss.sum())


@pytest.mark.parametrize("name", BOX_LOSSES)
def test_one_step_of_a_stock_config(name: str) -> None:
    torch.manual_seed(0)
    model = BoxDomainPretrainer(detector=detector(name))
    model.init_weights()
    model.train()
    statistics = {k: v.clone() for k, v in model.online.backbone.named_buffers()}
    losses = step(model)
    assert set(losses) == BOX_LOSSES[name] | {"loss_contrast", "positives"}
    assert all(torch.isfinite(torch.tensor(as_float(value))) for value in losses.values())
    assert losses["loss_contrast"] > 0
    assert losses["positives"] > 0
    for key, parameter in model.named_parameters():
        trains = not key.startswith(("online.backbone", "momentum"))
        assert (parameter.grad is not None) == trains, key
    gradient = {k.split(".")[1] for k, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert "neck" in gradient
    for key, value in model.online.backbone.named_buffers():
        assert torch.equal(value, statistics[key]), f"{key} of the frozen backbone moved"


def test_a_frozen_backbone_is_held_still_by_the_pretrainer() -> None:
    """A backbone whose norms mmdet leaves in training mode, so that only the pre-trainer holds them."""
    config = tiny()
    config.backbone.update(norm_eval=False, frozen_stages=-1)
    frozen = BoxDomainPretrainer(config)
    trained = BoxDomainPretrainer(config, freeze_backbone=False)
    for model, still in ((frozen, True), (trained, False)):
        assert {p.requires_grad for p in model.online.backbone.parameters()} == {not still}, "as asked"
        model.train()
        norms = [module for module in model.online.backbone.modules() if isinstance(module, _NormBase)]
        assert norms
        assert {module.training for module in norms} == {not still}
        assert model.online.neck.training
        assert (model.momentum.backbone is model.online.backbone) == still
        assert {p.requires_grad for p in model.online.backbone.parameters()} == {not still}


def test_parts_that_are_left_out_are_known_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is empty in the config, or stays, is not left out."""
    told: list[str] = []
    monkeypatch.setattr(pretrainer, "print_log", lambda text, *_: told.append(text))
    whole = BoxDomainPretrainer({**tiny(), "init_cfg": None})
    assert (whole.left_out, told) == ([], [])
    part = BoxDomainPretrainer({**tiny(), "semantic_head": {"type": "SemanticHead"}, "segm_head": None})
    assert part.left_out == ["semantic_head"]
    assert told == [f"{part.online.__class__.__name__} is pre-trained without semantic_head"]


def test_a_hook_finds_the_parts_of_the_detector() -> None:
    """``runner.model.bbox_head`` of a user's hook is the online network's; what is nowhere is an error."""
    model = BoxDomainPretrainer(tiny())
    assert model.bbox_head is model.online.bbox_head
    assert model.with_neck is True
    with pytest.raises(AttributeError, match="nowhere"):
        _ = model.nowhere
    model.online._inner = 1
    with pytest.raises(AttributeError, match="_inner"):
        _ = model._inner


def test_the_regressor_is_class_agnostic_and_masks_are_left_out() -> None:
    """Official bug B6: boxes were regressed per instance index."""
    model = BoxDomainPretrainer(detector("mask_rcnn"))
    state = model.state_dict()
    assert state["online.roi_head.bbox_head.fc_reg.weight"].shape[0] == 4
    assert not any("mask" in key for key in state)


def test_more_than_256_proposals_are_all_positives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Official bug B4: ids from 256 were background, because the embedding is 256 wide."""

    def positive_ids(name: str) -> set[int]:
        torch.manual_seed(0)
        model = BoxDomainPretrainer(detector(name))
        many = [sample(torch.rand(300, 2).repeat(1, 2) * 60 + torch.tensor([0.0, 0, 40, 40]), 128)]
        number_instances(many)
        slots, losses = model.online_adapter(model.online, torch.randn(1, 3, 128, 128), many)
        assert "loss_bbox" in losses
        return {i for i in slots.ids.tolist() if i >= 0}

    assert max(positive_ids("faster_rcnn")) >= 256
    assert 256 in positive_ids("retinanet")
    monkeypatch.setattr("aligndet.box_domain.adapters.label.BACKGROUND", 256)
    assert 256 not in positive_ids("retinanet"), "with the bug put back"


@pytest.mark.parametrize("name", BOX_LOSSES)
def test_an_image_without_proposals_does_not_stop_training(name: str) -> None:
    """Official bugs B7 and B8: no positive, or no box in an image, crashed."""
    torch.manual_seed(0)
    model = BoxDomainPretrainer(detector(name))
    model.train()
    data = batch()
    for samples in data["data_samples"].values():
        samples[0] = sample(torch.zeros(0, 4), 128)
    data = model.data_preprocessor(data, True)
    total, _ = model.parse_losses(model(**data, mode="loss"))
    assert torch.isfinite(total)


@pytest.mark.parametrize("name", BOX_LOSSES)
def test_a_batch_without_any_proposal_gives_zero_contrast_and_gradients(name: str) -> None:
    model = BoxDomainPretrainer(detector(name))
    model.train()
    data = batch()
    for view, samples in data["data_samples"].items():
        data["data_samples"][view] = [sample(torch.zeros(0, 4), 128) for _ in samples]
    data = model.data_preprocessor(data, True)
    losses = model(**data, mode="loss")
    assert losses["loss_contrast"] == 0
    model.parse_losses(losses)[0].backward()
    adapter = model.online_adapter
    assert all(p.grad is not None for p in adapter.parameters()), "DDP waits for every parameter"


def test_ids_are_unique_over_the_batch_and_equal_in_both_views() -> None:
    data = batch(images=3)["data_samples"]
    for samples in data.values():
        number_instances(samples)
    online, momentum = ([s.gt_instances.instance_ids for s in data[v]] for v in ("online", "momentum"))
    assert all(torch.equal(a, b) for a, b in zip(online, momentum, strict=True))
    assert torch.cat(online).unique().numel() == 18
    assert (online[2] // IMAGE_STRIDE == 2).all()


def test_samples_without_ids_name_the_transform_that_gives_them() -> None:
    samples = batch()["data_samples"]["online"]
    del samples[0].gt_instances.instance_ids
    with pytest.raises(ValueError, match="NumberProposals"):
        number_instances(samples)


def test_a_stock_config_can_be_named() -> None:
    model = BoxDomainPretrainer(detector=STOCK["retinanet"])
    assert model.online.backbone.depth == 50
    preprocessor = model.data_preprocessor.data_preprocessor  # type: ignore[union-attr]
    assert preprocessor.mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])  # type: ignore


def test_num_classes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"num_clusters"):
        BoxDomainPretrainer(tiny(), num_classes=80)


@pytest.mark.parametrize(
    ("samples", "mode"), [(None, "predict"), ({}, "predict"), ({}, "extract"), ({}, "tensor"), (None, "loss")]
)
def test_predicting_points_to_the_export(samples: Any, mode: str) -> None:
    model = BoxDomainPretrainer(tiny())
    with pytest.raises(InputError, match="aligndet export"):
        model.forward({}, samples, mode=mode)


def test_the_contrast_is_weighed_and_positives_are_counted() -> None:
    """Same networks, same views: only the options of the contrast differ."""

    def losses(**options: Any) -> dict[str, Any]:
        torch.manual_seed(0)
        model = BoxDomainPretrainer(tiny(), **options)
        model.init_weights()
        model.train()
        for adapter in (model.momentum_adapter, model.online_adapter):
            adapter.register_forward_hook(lambda module, args, result: seen.append(result[0].ids))
        return step(model)

    seen: list[torch.Tensor] = []
    plain = losses()
    momentum_ids, ids = seen[:2]
    assert plain["positives"] == (ids != -1).sum() > (ids > 0).sum() > 0
    for view in (momentum_ids, ids):
        assert (view >= IMAGE_STRIDE).any(), "the second image has ids of its own"
    assert plain["positives"].dtype == torch.float32
    torch.testing.assert_close(losses(loss_weight=3)["loss_contrast"], 3 * plain["loss_contrast"])
    torch.testing.assert_close(losses(temperature=0.5)["loss_contrast"], plain["loss_contrast"])
    assert losses(temperature=0.1)["loss_contrast"] != plain["loss_contrast"]
    with pytest.raises(InputError, match="missing_key"):
        losses(missing_key="drop")


def test_weights_are_those_of_the_detector_s_rules_and_the_mode_is_set() -> None:
    model: Any = BoxDomainPretrainer(tiny())
    with torch.no_grad():
        model.online.bbox_head.retina_reg.bias.fill_(5)
    model.init_weights()
    assert not model.online.bbox_head.retina_reg.bias.any()
    assert not model.momentum.bbox_head.retina_reg.bias.any()
    for mode in (False, True):
        model.train(mode)
        assert model.online.neck.training is model.momentum.neck.training is mode


def test_configs_find_it_by_name() -> None:
    assert MODELS.get("aligndet.BoxDomainPretrainer") is BoxDomainPretrainer


def test_without_clusters_there_is_one_class() -> None:
    assert BoxDomainPretrainer(detector("gfl")).online.bbox_head.num_classes == 1
    assert BoxDomainPretrainer(detector("gfl"), num_clusters=7).online.bbox_head.num_classes == 7


def test_a_detector_without_a_preprocessor_gets_mmdet_s() -> None:
    config = tiny()
    given = BoxDomainPretrainer(config).data_preprocessor.data_preprocessor  # type: ignore[union-attr]
    assert given.pad_size_divisor == config.data_preprocessor.pad_size_divisor == 32  # type: ignore
    del config.data_preprocessor
    assert BoxDomainPretrainer(config).data_preprocessor.data_preprocessor.pad_size_divisor == 1  # type: ignore
    assert "data_preprocessor" not in config, "the user's config is left as it was"


@pytest.mark.parametrize("dtype", [torch.bfloat16])
def test_mixed_precision_step(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = BoxDomainPretrainer(tiny())
    model.train()
    with torch.autocast("cpu", dtype=dtype):
        losses = step(model)
    assert losses["loss_contrast"].dtype == torch.float32
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
