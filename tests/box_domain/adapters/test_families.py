"""Every family's slots: planted boxes come out where the detector looks for them, in both images."""

from typing import Any

import pytest
import torch
from mmdet.models.task_modules.assigners import AssignResult, HungarianAssigner
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_overlaps
from mmengine.logging import MessageHub
from torch import Tensor

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.adapters.features import Call, Features, Places
from aligndet.box_domain.adapters.query import FAR_BELOW, IndexWriter
from aligndet.box_domain.pretrainer import number_instances
from aligndet.box_domain.slots import IMAGE_STRIDE, NO_INSTANCE
from tests.box_domain.adapters.planted import BOXES, SIZE, Seen, rois_read
from tests.ops.ops_cases import load_stand_in, use
from tests.small import detector, sample

DENSE = (
    *("gfl", "vfnet", "ddod", "fsaf", "paa", "yolof", "yolox", "yolov3", "rtmdet", "ssdlite"),
    *("free_anchor", "autoassign", "centernet", "centernet_update", "rpn"),
)


@pytest.fixture(autouse=True)
def as_in_a_runner() -> None:
    """YOLOX and TOOD ask the message hub how far training is."""
    hub = MessageHub.get_current_instance()
    hub.update_info("iter", 0)
    hub.update_info("epoch", 0)


@pytest.mark.parametrize("name", DENSE)
def test_dense_places_lie_on_the_proposal_whose_id_they_carry(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(load_stand_in(), monkeypatch)  # DDOD's last maps are smaller than a kernel: mmcv's own refuses them
    seen = Seen(name)
    everywhere = zip(seen.places.index.tolist(), seen.places.ids.tolist(), strict=True)
    positive = [(place, number) for place, number in everywhere if number >= 0]
    assert {i for _, i in positive} == {0, 1, IMAGE_STRIDE, IMAGE_STRIDE + 1}, "every planted box is found"
    seen.check_dense()
    assert (seen.places.ids == NO_INSTANCE).sum() > len(positive), "the rest is background"
    assert seen.slots.embeddings.shape == (len(seen.slots.ids), 256)
    assert (seen.slots.ids >= 0).sum() == len(positive), "positives come first"


def test_priors_on_the_padding_are_left_out_and_the_others_keep_their_places() -> None:
    """GFL's assigner sees only priors on the image; an image lower than the batch must not shift the rest."""
    torch.manual_seed(0)
    model: Any = BoxDomainPretrainer(detector("gfl"))
    adapter = model.online_adapter
    kept: list[tuple[Places, list[Call]]] = []
    places = adapter.places

    def keep(samples: list[Any]) -> Places:
        kept.append((places(samples), list(adapter.features.calls)))
        return kept[-1][0]

    adapter.places = keep
    anchor = torch.tensor([[3 * 8.0 - 32, 9 * 8.0 - 32, 3 * 8.0 + 32, 9 * 8.0 + 32]])  # row 9, column 3
    samples = [sample(anchor.clone(), SIZE) for _ in range(2)]
    samples[0].set_metainfo({"pad_shape": (96, 64), "img_shape": (96, 64)})
    number_instances(samples)
    adapter(model.online, torch.randn(2, 3, SIZE, SIZE), samples)
    found = dict(zip(*map(Tensor.tolist, (kept[0][0].index, kept[0][0].ids)), strict=True))
    first = kept[0][1][0]
    assert first.x.shape[2:] == (16, 16)
    for image in range(2):
        assert found[image * 256 + 9 * 16 + 3] == image * IMAGE_STRIDE
    assert 13 * 16 not in found, "row 13 of the lower image is padding"
    assert found[256 + 13 * 16] == NO_INSTANCE


@pytest.mark.parametrize("name", ["cascade_rcnn", "crowddet", "fast_rcnn", "tridentnet"])
def test_rois_overlap_the_proposal_whose_id_they_carry(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rois = rois_read(monkeypatch)
    seen = Seen(name)
    ids = seen.places.ids
    read = torch.cat([r.repeat(2, 1) for r in rois]) if name == "crowddet" else torch.cat(rois)
    assert len(read) == len(ids) == sum(call.count for call in seen.calls)
    positive = ids >= 0
    assert positive.any()
    mine, numbers = read[positive], ids[positive]
    image = numbers // IMAGE_STRIDE
    assert ((mine[:, 0].long() % 2) == image).all()
    boxes = torch.stack(BOXES)[image, numbers % IMAGE_STRIDE]
    overlap = bbox_overlaps(mine[:, 1:], boxes, is_aligned=True)
    assert overlap.min() >= (0.3 if name == "crowddet" else 0.5)
    if name in ("cascade_rcnn", "crowddet"):
        assert (ids == NO_INSTANCE).any(), "their own samplers keep background"
    assert len(seen.calls) == {"cascade_rcnn": 3, "crowddet": 2}.get(name, 1)


def diagonal(self: Any, pred_instances: Any, gt_instances: Any, **kwargs: Any) -> AssignResult:
    """Query q takes proposal q."""
    count, total = len(gt_instances), len(pred_instances.scores)
    gt_inds = torch.zeros(total, dtype=torch.long)
    gt_inds[:count] = torch.arange(1, count + 1)
    return AssignResult(count, gt_inds, None, labels=torch.zeros(total).long())


@pytest.mark.parametrize("name", ["deformable_detr", "dino", "sparse_rcnn"])
def test_queries_are_found_behind_denoising_groups_and_in_every_layer(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HungarianAssigner, "assign", diagonal)
    options = {"dino": {"num_queries": 50}}.get(name, {})
    config = detector(name)
    config.update(options)
    seen = Seen(config, adapter={"num_slots": 0})
    decoder = seen.calls[1:] if name == "dino" else seen.calls  # DINO's first call is its encoder's
    found = dict(zip(*map(Tensor.tolist, (seen.places.index, seen.places.ids)), strict=True))
    layers = 0
    for call in decoder:
        per_image = call.count // 2
        for image in range(2):
            mine = [found.get(call.first + image * per_image + q) for q in range(per_image)]
            matched = [q for q, number in enumerate(mine) if number is not None and number >= 0]
            layers += 1
            skipped = matched[0]  # denoising queries, which the assigner never sees
            assert [mine[q] for q in matched] == [image * IMAGE_STRIDE, image * IMAGE_STRIDE + 1]
            assert matched == [skipped, skipped + 1]
            assert all(number is None for number in mine[:skipped])
            assert (skipped > 0) == (name == "dino")
            assert set(mine[skipped + 2 :]) == {NO_INSTANCE}
    assert layers == 2 * 2, "two images, two layers or stages"
    assert seen.slots.embeddings.shape == (len(found), 256)


@pytest.mark.parametrize("name", ["detr", "deformable_detr", "sparse_rcnn"])
def test_the_channel_of_places_is_felt_by_no_loss_and_no_matching(name: str) -> None:
    """The detector with the channel loses what the same detector with one class and no channel loses."""
    torch.manual_seed(0)
    model: Any = BoxDomainPretrainer(detector(name))
    model.init_weights()
    plain = without_channel(name, model)
    image, samples = torch.randn(2, 3, SIZE, SIZE), [sample(boxes.clone(), SIZE) for boxes in BOXES]
    number_instances(samples)
    _, mine = model.online_adapter(model.online, image, samples)
    theirs = plain.loss(image, samples)
    for key, value in mine.items():
        torch.testing.assert_close(value, theirs[key], rtol=1e-4, atol=1e-5, msg=key)


def without_channel(name: str, model: Any) -> Any:
    """The stock detector with one class, with ``model``'s weights, rows of the channel taken out."""
    config = detector(name)
    for part in ("bbox_head", "roi_head"):
        for head in _heads(config.get(part)):
            head.num_classes = 1
    config.pop("data_preprocessor", None)
    plain = MODELS.build(config)
    for network in (plain, model.online):
        network.train()
        for module in network.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            elif isinstance(module, torch.nn.MultiheadAttention):
                module.dropout = 0.0
    state = model.online.state_dict()
    for key, wanted in plain.state_dict().items():
        if state[key].shape != wanted.shape:  # classes: object, channel (and background)
            state[key] = torch.cat([state[key][:1], state[key][2:]])
    plain.load_state_dict(state)
    return plain


def _heads(config: Any) -> list[Any]:
    if not config:
        return []
    inner = config.get("bbox_head", config)
    return list(inner) if isinstance(inner, (list, tuple)) else [inner]


def test_scores_that_carry_places_are_exact_integers() -> None:
    layer = torch.nn.Linear(4, 2)
    features = Features()
    features.add(torch.zeros(1_000_000, 1))
    layer.register_forward_hook(IndexWriter(features, 0, 1))
    scores = layer(torch.randn(2, 3, 4).half().float())
    assert (-scores[..., 1].long() - FAR_BELOW).flatten().tolist() == list(range(1_000_000, 1_000_006))
    assert scores[..., 1].sigmoid().max() == 0
