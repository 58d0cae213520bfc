"""Adapters: slots carry the ids that the detector's own matching gave, at the right places."""

from typing import Any

import pytest
import torch
from mmdet.models.task_modules.assigners import AssignResult, HungarianAssigner
from mmdet.structures.bbox import bbox_overlaps
from mmengine.config import ConfigDict

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.adapters import adapter_for, boxes_only, classifier_names
from aligndet.box_domain.adapters.features import Features, Places, read, sample_slots
from aligndet.box_domain.adapters.pointer import Pointer
from aligndet.box_domain.adapters.projector import Projector
from aligndet.box_domain.pretrainer import number_instances
from aligndet.box_domain.slots import IMAGE_STRIDE, NO_INSTANCE, Slots
from aligndet.common.errors import InputError
from tests.box_domain.adapters.planted import rois_read
from tests.small import batch, boxes_of, detector, sample

CLASSIFIER = {
    "retinanet": "bbox_head.retina_cls",
    "fcos": "bbox_head.conv_cls",
    "faster_rcnn": "roi_head.bbox_head.fc_cls",
    "mask_rcnn": "roi_head.bbox_head.fc_cls",
    "detr": "bbox_head.fc_cls",
}


def run(name: str, view: str = "online", **options: Any) -> tuple[BoxDomainPretrainer, Slots, dict, list]:
    torch.manual_seed(0)
    model = BoxDomainPretrainer(detector(name), **options)
    model.init_weights()
    model.train()
    data = model.data_preprocessor(batch(), True)
    samples = data["data_samples"][view]
    number_instances(samples)
    slots, losses = model.online_adapter(model.online, data["inputs"][view], samples)
    return model, slots, losses, samples


@pytest.mark.parametrize("name", CLASSIFIER)
def test_slots_of_every_detector(name: str) -> None:
    _, slots, losses, samples = run(name)
    known = torch.cat([s.gt_instances.instance_ids for s in samples])
    positive = slots.ids[slots.ids != NO_INSTANCE]
    assert slots.embeddings.shape[1] == 256
    assert len(positive)
    assert torch.isin(positive, known).all()
    assert len(positive.unique() // IMAGE_STRIDE) >= 2, "both images have positives"
    assert losses
    assert all("acc" not in key for key in losses)
    has_background = bool((slots.ids == NO_INSTANCE).any())
    assert has_background == (name not in ("faster_rcnn", "mask_rcnn"))


@pytest.mark.parametrize("name", CLASSIFIER)
def test_the_classifier_is_found_by_its_shape(name: str) -> None:
    config = detector(name)
    kind = adapter_for(config)
    kind.prepare(boxes_only(config), 1)
    assert classifier_names(config) == [CLASSIFIER[name]]
    assert [(c.name, c.priors) for c in kind.classifiers(config)] == [
        (CLASSIFIER[name], 9 if name == "retinanet" else 1)
    ]


def planted(name: str, boxes: torch.Tensor) -> tuple[BoxDomainPretrainer, Places]:
    """Run a detector whose images both hold ``boxes``; the places that its adapter found."""
    torch.manual_seed(0)
    model = BoxDomainPretrainer(detector(name))
    model.init_weights()
    kept: list[Places] = []
    adapter = model.online_adapter
    places = adapter.places
    adapter.places = lambda samples: kept.append(places(samples)) or kept[-1]  # type: ignore
    samples = [sample(boxes.clone(), 128) for _ in range(2)]
    number_instances(samples)
    adapter(model.online, torch.randn(2, 3, 128, 128), samples)
    return model, kept[0]


def place(level: int, image: int, row: int, col: int, prior: int, priors: int) -> int:
    """Number of a prior, levels of stride 8, 16, ... at 128 px, as Pointer counts."""
    first = sum(2 * (128 >> (3 + lower)) ** 2 * priors for lower in range(level))
    side = 128 >> (3 + level)
    return first + ((image * side + row) * side + col) * priors + prior


RETINA_ANCHORS = [(0, 5, 7, 2), (1, 2, 3, 4), (0, 12, 3, 8)]  # level, row, column, prior


def check_retinanet() -> None:
    generator = BoxDomainPretrainer(detector("retinanet")).online.bbox_head.prior_generator
    levels = generator.grid_priors([(128 >> s, 128 >> s) for s in range(3, 8)], device="cpu")
    boxes = []
    for level, row, col, prior in RETINA_ANCHORS:
        boxes.append(levels[level][(row * (128 >> (3 + level)) + col) * 9 + prior])
    _, places = planted("retinanet", torch.stack(boxes))
    found = dict(zip(places.index.tolist(), places.ids.tolist(), strict=True))
    for image in range(2):
        for number, (level, row, col, prior) in enumerate(RETINA_ANCHORS):
            assert found[place(level, image, row, col, prior, 9)] == image * IMAGE_STRIDE + number
        assert found[place(0, image, 0, 15, 0, 9)] == NO_INSTANCE


def test_retinanet_anchors_keep_their_ids() -> None:
    check_retinanet()


def test_bug_b1_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back: labels in one order and embeddings in another, wrong as soon as a batch has two images."""
    right = Pointer.forward
    monkeypatch.setattr(Pointer, "forward", lambda self, x: right(self, x).flip(0))
    with pytest.raises(InputError, match=r"RetinaHead gave predictions of one image to .* of another"):
        check_retinanet()


def test_fcos_points_keep_their_ids() -> None:
    boxes = torch.tensor([[8.0, 8.0, 40.0, 40.0], [60.0, 50.0, 110.0, 90.0]])
    _, places = planted("fcos", boxes)
    found = dict(zip(places.index.tolist(), places.ids.tolist(), strict=True))
    for image in range(2):  # points of stride 8 lie at 8 * cell + 4
        assert found[place(0, image, 2, 2, 0, 1)] == image * IMAGE_STRIDE
        assert found[place(0, image, 8, 10, 0, 1)] == image * IMAGE_STRIDE + 1
        assert found[place(0, image, 15, 15, 0, 1)] == NO_INSTANCE


def test_rois_keep_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    rois = rois_read(monkeypatch)
    boxes = torch.tensor([[8.0, 8.0, 40.0, 40.0], [60.0, 50.0, 110.0, 90.0]])
    _, places = planted("faster_rcnn", boxes)
    mine = rois[0][places.index]
    assert (mine[:, 0].long() == places.ids // IMAGE_STRIDE).all()
    overlap = bbox_overlaps(mine[:, 1:], boxes[places.ids % IMAGE_STRIDE], is_aligned=True)
    assert len(places.ids) >= 4
    assert overlap.min() >= 0.5


def test_queries_keep_the_ids_of_the_matching(monkeypatch: pytest.MonkeyPatch) -> None:
    seen_labels: list[torch.Tensor] = []

    def diagonal(self: Any, pred_instances: Any, gt_instances: Any, img_meta: Any = None) -> AssignResult:
        """Query q takes proposal q."""
        seen_labels.append(gt_instances.labels)
        count, total = len(gt_instances), len(pred_instances)
        gt_inds = torch.zeros(total, dtype=torch.long)
        gt_inds[:count] = torch.arange(1, count + 1)
        return AssignResult(count, gt_inds, None, labels=torch.zeros(total).long())

    monkeypatch.setattr(HungarianAssigner, "assign", diagonal)
    model, slots, _, _ = run("detr")
    _, places = planted("detr", boxes_of(6, 128, torch.Generator().manual_seed(0)))
    ids = torch.zeros_like(places.ids)
    ids[places.index] = places.ids
    ids = ids.view(2, 2, 100)  # decoder layers, images, queries
    for image in range(2):
        assert ids[:, image, :6].tolist() == [[image * IMAGE_STRIDE + q for q in range(6)]] * 2
        assert (ids[:, image, 6:] == NO_INSTANCE).all()
    hidden_size = model.online_adapter.projectors[0].hidden.in_features  # type: ignore[union-attr]
    assert (len(slots), hidden_size) == (2 * 2 * 100, 256)
    assert torch.cat(seen_labels).max() < model.online.bbox_head.num_classes, (
        "costs see classes, not ids (B5)"
    )


def test_more_clusters_than_declared_is_named() -> None:
    model = BoxDomainPretrainer(detector("detr"), num_clusters=2)
    data = model.data_preprocessor(batch(), True)
    for samples in data["data_samples"].values():
        samples[0].gt_instances.labels += 5
    with pytest.raises(ValueError, match=r"num_clusters is 2"):
        model(**data)


def test_an_unknown_head_is_named_with_the_page_that_helps() -> None:
    config = ConfigDict(type="RetinaNet", backbone={"type": "ResNet", "depth": 18})
    with pytest.raises(ValueError, match="no query_head, roi_head, bbox_head or rpn_head"):
        BoxDomainPretrainer(config)
    config = ConfigDict(type="RetinaNet", bbox_head={"type": "EmbeddingRPNHead"})
    with pytest.raises(ValueError, match=r"EmbeddingRPNHead.*adapters\.md"):
        BoxDomainPretrainer(config)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mmdet::solo/solo_r50_fpn_1x_coco.py", "masks and no boxes.*Mask R-CNN"),
        ("mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py", "masks and no boxes"),
        ("mmdet::glip/glip_atss_swin-t_a_fpn_dyhead_16xb2_ms-2x_funtune_coco.py", "text.*ATSS"),
        ("mmdet::soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py", "labels.*Give"),
        ("mmdet::qdtrack/qdtrack_faster-rcnn_r50_fpn_4e_base.py", "tracks.*model.detector"),
        ("mmdet::cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco.py", "corners.*CenterNet"),
    ],
)
def test_what_cannot_be_served_is_refused_with_a_reason(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        BoxDomainPretrainer(name)


def test_sampling_prefers_positives_and_keeps_groups_apart() -> None:
    ids = torch.tensor([-1] * 20 + [3] * 4 + [-1] * 20 + [5] * 30)
    group = torch.tensor([0] * 24 + [1] * 50)
    chosen = sample_slots(ids, group, 10)
    kept = {g: ids[chosen[group[chosen] == g]].tolist() for g in (0, 1)}
    assert sorted(kept[0]) == [-1] * 6 + [3] * 4
    assert kept[1] == [5] * 10
    half = ids[sample_slots(ids, torch.zeros_like(group), 20, pos_fraction=0.5)]
    assert (half >= 0).sum() == 10
    assert (half < 0).sum() == 10


@pytest.mark.parametrize("kernel", [1, 3])
def test_gathered_features_equal_the_dense_projector(kernel: int) -> None:
    """Reading at places and applying linear layers is the convolution, evaluated where it is needed."""
    torch.manual_seed(0)
    maps = [torch.randn(2, 6, 8, 8), torch.randn(2, 6, 4, 4)]
    conv = torch.nn.Conv2d(6, 5, kernel, padding=kernel // 2)
    dense = torch.cat([conv(m).permute(0, 2, 3, 1).reshape(-1, 5) for m in maps])
    chosen = torch.randperm(len(dense))[:40]
    features = torch.cat([read(maps[p >= 128], (p - 128 * (p >= 128))[None], kernel) for p in chosen])
    weight = conv.weight.permute(0, 2, 3, 1).reshape(5, -1)
    assert conv.bias is not None
    torch.testing.assert_close(features @ weight.t() + conv.bias, dense[chosen])


def test_places_are_embedded_by_their_own_classifier_in_the_order_asked() -> None:
    torch.manual_seed(0)
    features = Features()
    maps, rows = torch.randn(2, 6, 3, 3), torch.randn(7, 4)
    assert features.add(maps, 0, priors=3) == 0
    assert features.add(rows, 1) == 2 * 9 * 3
    projectors = [Projector(6, 5, 8, priors=3), Projector(4, 5, 8)]
    index = torch.tensor([54 + 2, 3 * 4 + 1, 54, 27 + 3 * 8 + 2])
    expected = torch.stack(
        [
            projectors[1](rows[2:3])[0],
            projectors[0](maps[0, :, 1, 1][None], torch.tensor([1]))[0],
            projectors[1](rows[0:1])[0],
            projectors[0](maps[1, :, 2, 2][None], torch.tensor([2]))[0],
        ]
    )
    torch.testing.assert_close(features.embed(index, projectors), expected)
    assert features.image_of(index[[1, 3]]).tolist() == [0, 1]


def test_each_prior_has_a_last_layer_of_its_own() -> None:
    torch.manual_seed(0)
    projector = Projector(6, 4, 5, priors=3)
    features, prior = torch.randn(20, 6), torch.randint(0, 3, (20,))
    every = projector.out(projector.hidden(features).relu()).view(20, 3, 4)
    torch.testing.assert_close(projector(features, prior), every[torch.arange(20), prior])
    assert projector(features[:0], prior[:0]).shape == (0, 4)
