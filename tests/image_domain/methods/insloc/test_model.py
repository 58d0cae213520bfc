"""The model of InsLoc: encoder, queues, key network, loss, and which box is looked at where."""

import copy
import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from aligndet.common.errors import InputError
from aligndet.image_domain.methods.insloc import InsLoc
from aligndet.image_domain.methods.insloc.key_queue import KeyQueue
from aligndet.training.run import load_config

ROOT = Path(__file__).parents[4]

SIZE = 64


@cache
def shipped(architecture: str) -> ConfigDict:
    """The model of the shipped R50 config; not to be changed."""
    return load_config(f"{ROOT}/configs/image_domain/insloc_r50_{architecture}_200e_imagenet.py").model


def config(architecture: str = "fpn", **options: Any) -> ConfigDict:
    """The shipped R50 config with narrow layers, ResNet-18 blocks and 64 px composites."""
    model = copy.deepcopy(shipped(architecture))
    model.pop("type")
    model.backbone.update(depth=18, base_channels=64 if architecture == "c4" else 8)
    head = model.roi_head.bbox_head
    if architecture == "fpn":
        model.neck.update(in_channels=[8, 16, 32, 64], out_channels=16)
        model.roi_head.out_channels = 16
        head.update(in_channels=16, conv_out_channels=16, fc_out_channels=32)
    else:
        model.roi_head.out_channels = 256
        model.roi_head.shared_head.depth = 18
        head.update(in_channels=512, fc_out_channels=64)
    model.roi_head.embed_dim = 8
    model.box_augmentation.anchor_generator.strides = [4]
    model.queue_len = 12
    model.update(options)
    return model


def build(architecture: str = "fpn", **options: Any) -> InsLoc:
    torch.manual_seed(0)
    model = InsLoc(**config(architecture, **options))
    model.encoder_q.init_weights()
    return model.train()


def sample(box: list[float]) -> DetDataSample:
    packed = DetDataSample(metainfo={"img_shape": (SIZE, SIZE)})
    packed.gt_instances = InstanceData(bboxes=torch.tensor([box]), labels=torch.zeros(1).long())
    return packed


def batch(size: int = 4, seed: int = 0) -> dict[str, Any]:
    """Preprocessed views: noise, and boxes of 32 to 60 px."""
    generator = torch.Generator().manual_seed(seed)
    data: dict[str, Any] = {"inputs": {}, "data_samples": {}}
    for view in ("query", "key"):
        data["inputs"][view] = torch.randn(size, 3, SIZE, SIZE, generator=generator)
        corner = torch.randint(0, 4, (size, 2), generator=generator)
        far = corner + torch.randint(32, 60, (size, 2), generator=generator)
        data["data_samples"][view] = [
            sample([float(v) for v in (*a, *b)]) for a, b in zip(corner, far, strict=True)
        ]
    return data


def total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack([value for name, value in losses.items() if "loss" in name]).sum()


@pytest.mark.parametrize(("architecture", "levels"), [("fpn", [4, 8, 16, 32]), ("c4", [16])])
def test_a_step_trains_every_layer(architecture: str, levels: list[int]) -> None:
    model = build(architecture)
    losses = model.loss(**batch())
    assert [name for name in losses if "loss" in name] == [f"loss_stride{stride}" for stride in levels]
    total(losses).backward()
    without = [name for name, p in model.encoder_q.named_parameters() if p.grad is None or not p.grad.any()]
    # A bias before the head's normalisation-free last layer has a gradient, so nothing is excused.
    assert not without
    assert all(p.grad is None for p in model.encoder_k.parameters())
    assert not any(p.requires_grad for p in model.encoder_k.parameters())


def test_the_loss_is_infonce_level_by_level() -> None:
    """Against the paper's formula, written out for each query, its own key and every key of its queue."""
    model = build(box_augmentation=None, augmented_strides=[], momentum=0.5)
    model.loss(**batch(seed=1))  # so that key and query networks differ
    with torch.no_grad():
        for parameter in model.encoder_q.parameters():
            parameter.mul_(1.05)
    reference = copy.deepcopy(model)
    data = batch(seed=2)
    losses = model.loss(**data)

    queue = reference.queue.keys.clone()
    boxes = {
        view: torch.cat([s.gt_instances.bboxes for s in data["data_samples"][view]])
        for view in ("query", "key")
    }
    queries = reference.encoder_q(data["inputs"]["query"], [boxes["query"]] * 4)
    reference.encoder_k.update_parameters(reference.encoder_q)
    keys = reference.encoder_k(data["inputs"]["key"], [boxes["key"]] * 4)
    for level, stride in enumerate([4, 8, 16, 32]):
        rows = []
        for query, key in zip(queries[level], keys[level], strict=True):
            positive = math.exp(float(query @ key) / 0.2)
            negative = sum(math.exp(float(query @ queue[level, :, k]) / 0.2) for k in range(12))
            rows.append(-math.log(positive / (positive + negative)))
        assert losses[f"loss_stride{stride}"].item() == pytest.approx(sum(rows) / len(rows), rel=1e-4)


def test_embeddings_have_length_one_and_depend_on_their_box() -> None:
    model = build().eval()
    images = batch(2)["inputs"]["query"]
    near, far = torch.tensor([[0.0, 0, 30, 30]] * 2), torch.tensor([[30.0, 30, 64, 64]] * 2)
    first, second = model.embed(images, near), model.embed(images, far)
    assert first.shape == (4, 2, 8)
    torch.testing.assert_close(first.norm(dim=-1), torch.ones(4, 2))
    assert (first - second).abs().amax(-1).min() > 1e-3, "on every level and image"


def test_each_level_pools_its_own_box() -> None:
    """The embedding of a level changes with its own box and with no other's (batch norm held still)."""
    model = build().eval()
    images = batch(2)["inputs"]["query"]
    box = torch.tensor([[4.0, 4, 40, 40]] * 2)
    moved = torch.tensor([[20.0, 12, 60, 60]] * 2)
    before = model.encoder_q(images, [box] * 4)
    after = model.encoder_q(images, [box, box, moved, box])
    changed = (before - after).abs().amax((1, 2)) > 1e-5
    assert changed.tolist() == [False, False, True, False]


def test_levels_share_one_head_and_one_batch_norm() -> None:
    """Batch norm of the head sees all levels at once: 4 levels x 3 images in one call."""
    model = build()
    seen: list[int] = []
    model.encoder_q.roi_head.bbox_head.shared_convs[0].register_forward_hook(
        lambda module, inputs, output: seen.append(len(inputs[0]))
    )
    model.encoder_q(batch(3)["inputs"]["query"], [torch.tensor([[4.0, 4, 40, 40]] * 3)] * 4)
    assert seen == [12]


def test_the_head_has_the_papers_layers() -> None:
    own = shipped("fpn")
    assert (own.queue_len, own.momentum, own.head.temperature) == (65536, 0.001, 0.2)
    options = {key: value for key, value in own.items() if key not in ("type", "queue_len")}
    model = InsLoc(**options, queue_len=8)
    head = model.encoder_q.roi_head.bbox_head
    assert [tuple(conv.conv.weight.shape) for conv in head.shared_convs] == [(256, 256, 3, 3)] * 4
    assert all(isinstance(conv.bn, torch.nn.BatchNorm2d) for conv in head.shared_convs)
    assert [tuple(fc.weight.shape) for fc in head.shared_fcs] == [(1024, 256 * 49), (1024, 1024)]
    assert tuple(head.fc_cls.weight.shape) == (128, 1024)
    assert model.queue.keys.shape == (4, 128, 8)
    assert all(conv.with_norm for conv in model.encoder_q.neck.lateral_convs)  # type: ignore[union-attr]


def test_the_augmented_box_goes_to_the_listed_levels_of_the_query_only() -> None:
    model = build(augmented_strides=[8, 32])
    data = batch()
    seen: dict[str, list[Tensor]] = {}

    def watch(name: str, network: torch.nn.Module) -> None:
        def hook(module: torch.nn.Module, inputs: Any) -> None:
            seen.setdefault(name, list(inputs[1]))

        network.register_forward_pre_hook(hook)

    watch("query", model.encoder_q)
    watch("key", model.encoder_k.module)
    torch.manual_seed(3)
    model.loss(**data)
    true = {
        view: torch.cat([s.gt_instances.bboxes for s in data["data_samples"][view]])
        for view in ("query", "key")
    }
    moved = [not torch.equal(boxes, true["query"]) for boxes in seen["query"]]
    assert moved == [False, True, False, True]
    assert torch.equal(seen["query"][1], seen["query"][3]), "one draw for all levels"
    for boxes in seen["key"]:
        assert sorted(boxes.tolist()) == sorted(true["key"].tolist()), "shuffled, but true"


def test_the_key_network_starts_equal_and_follows() -> None:
    model = build(momentum=0.001)
    data = batch()
    model.loss(**data)
    pairs = list(zip(model.encoder_q.parameters(), model.encoder_k.module.parameters(), strict=True))
    assert all(torch.equal(q, k) for q, k in pairs)
    before = [k.clone() for _, k in pairs]
    with torch.no_grad():
        for q, _ in pairs:
            q.add_(torch.randn_like(q))
    model.loss(**data)
    for (q, k), old in zip(pairs, before, strict=True):
        torch.testing.assert_close(k, 0.999 * old + 0.001 * q, atol=1e-6, rtol=0)


def test_the_queue_is_a_ring() -> None:
    queue = KeyQueue(levels=2, dim=3, length=5)
    start = queue.keys.clone()
    torch.testing.assert_close(start.norm(dim=1), torch.ones(2, 5))
    first, second = torch.randn(2, 4, 3), torch.randn(2, 3, 3)
    queue.push(first)
    assert torch.equal(queue.keys[:, :, :4], first.transpose(1, 2))
    assert torch.equal(queue.keys[:, :, 4], start[:, :, 4])
    queue.push(second)
    assert torch.equal(queue.keys[:, :, 4], second[:, 0])
    assert torch.equal(queue.keys[:, :, :2], second[:, 1:].transpose(1, 2))
    assert torch.equal(queue.keys[:, :, 2], first[:, 2])
    assert queue.position.item() == 2
    with pytest.raises(InputError, match=r"model\.queue_len=5"):
        queue.push(torch.randn(2, 6, 3))


def test_keys_enter_their_own_levels_queue_after_the_loss() -> None:
    model = build()
    old = model.queue.keys.clone()
    pushed: list[Tensor] = []
    encode = model.keys

    def spy(images: Tensor, boxes: Tensor) -> Tensor:
        pushed.append(encode(images, boxes))
        return pushed[-1]

    model.keys = spy  # type: ignore[method-assign]
    model.loss(**batch())
    assert pushed[0].shape == (4, 4, 8)
    assert torch.equal(model.queue.keys[:, :, :4], pushed[0].transpose(1, 2))
    assert torch.equal(model.queue.keys[:, :, 4:], old[:, :, 4:])
    assert not pushed[0].requires_grad


def test_accuracy_counts_queries_nearest_to_their_own_key() -> None:
    """With equal views and equal networks the own key is nearest, until the queue holds its double."""
    model = build(box_augmentation=None, augmented_strides=[])
    data = batch()
    same = {kind: dict.fromkeys(values, values["query"]) for kind, values in data.items()}
    assert model.loss(**same)["accuracy"] == 1
    model.queue.keys[:, :, :4] *= 1.01  # the keys of the first step, now a little nearer than the own ones
    assert model.loss(**same)["accuracy"] == 0


def test_what_a_user_can_get_wrong_is_named() -> None:
    with pytest.raises(InputError, match=r"augmented_strides: no level has stride \[64\]"):
        build(augmented_strides=[64])
    model = build()
    with pytest.raises(InputError, match="no mode 'predict'"):
        model(batch()["inputs"], mode="predict")
    data = batch()
    data["data_samples"]["query"][1].gt_instances = InstanceData(bboxes=torch.zeros(0, 4))
    with pytest.raises(InputError, match="one box per composite"):
        model.loss(**data)


def test_names_are_those_of_a_two_stage_detector() -> None:
    """What the query network calls its tensors, Mask R-CNN calls them too."""
    model = build("c4")
    names = {name for name in model.encoder_q.state_dict() if "bbox_head" not in name}
    stock = load_config("mmdet::mask_rcnn/mask-rcnn_r50-caffe-c4_1x_coco.py").model
    stock.backbone.update(depth=18, init_cfg=None)
    stock.roi_head.shared_head.depth = 18
    wanted = set(MODELS.build(stock).state_dict())
    assert len(names) > 100
    assert names <= wanted
