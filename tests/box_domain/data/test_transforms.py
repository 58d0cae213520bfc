"""Views: boxes fit the pixels, and a proposal keeps its number whatever a view does to it."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import TRANSFORMS as MMCV_TRANSFORMS
from mmcv.transforms import BaseTransform, Compose
from mmengine.config import Config
from mmengine.registry import init_default_scope

from aligndet.box_domain.data.loading import ProposalInstances
from aligndet.box_domain.data.transforms import SampleProposals

COLOURS = np.random.default_rng(0).permutation(
    np.stack(np.meshgrid([40, 120, 200], [40, 120, 200], [40, 120, 200]), -1).reshape(-1, 3)
)
BASE = Path(__file__).parents[3] / "configs" / "_base_" / "two_views.py"


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope("mmdet")


def painted(tmp_path: Path, size: tuple[int, int] = (300, 421)) -> dict[str, Any]:
    """An image whose 12 disjoint boxes are each filled with a colour of their own, on black."""
    height, width = size
    image = np.zeros((height, width, 3), np.uint8)
    boxes = []
    for number in range(12):
        row, col = divmod(number, 4)
        x, y = col * width // 4 + 10, row * height // 3 + 8
        w, h = 40 + 3 * number, 60 + 2 * number
        image[y : y + h, x : x + w] = COLOURS[number]
        boxes.append([x, y, x + w, y + h])
    cv2.imwrite(str(tmp_path / "image.png"), image)
    instances = ProposalInstances(np.array(boxes, np.float32), np.full(len(boxes), 3))
    return {
        "img_path": str(tmp_path / "image.png"),
        "img_id": 0,
        "height": height,
        "width": width,
        "instances": instances,
    }


def pipeline(extra: list[Any] | None = None, colour: bool = False) -> Compose:
    """The configs' own pipeline; without colour, so that colours can be read back."""
    steps = Config.fromfile(BASE).train_dataloader.dataset.pipeline
    for step in steps:
        if step.type == "mmdet.MultiBranch":
            for branch in ("online", "momentum"):
                view = [t for t in step[branch] if colour or t.type != "RandomChoice"]
                step[branch] = view[:-1] + (extra or []) + view[-1:]
    return Compose(steps)


def read_back(view: torch.Tensor, box: torch.Tensor, number: int) -> float:
    """IoU of the pixels that have a box's colour with the box."""
    near = (view.permute(1, 2, 0).float() - torch.tensor(COLOURS[number]).float()).abs().amax(-1) < 30
    inside = torch.zeros_like(near)
    x1, y1, x2, y2 = box.round().int().tolist()
    inside[y1:y2, x1:x2] = True
    return ((near & inside).sum() / (near | inside).sum()).item()


def check_views(data: dict[str, Any]) -> None:
    for view in ("online", "momentum"):
        instances = data["data_samples"][view].gt_instances
        for box, number in zip(instances.bboxes.tensor, instances.instance_ids.tolist(), strict=True):
            assert read_back(data["inputs"][view], box, number) > 0.9, (view, number)


@pytest.mark.parametrize("seed", range(6))
def test_boxes_fit_the_pixels_in_both_views(tmp_path: Path, seed: int) -> None:
    np.random.seed(seed)
    data = pipeline()(painted(tmp_path))
    assert len(data["data_samples"]["online"].gt_instances) == 12
    check_views(data)


@MMCV_TRANSFORMS.register_module(name="ShiftBoxes", force=True)
class ShiftBoxes(BaseTransform):
    """Official bug B2: boxes off by the width of a padding."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        results["gt_bboxes"].translate_([11, 0])
        return results


def test_boxes_shifted_by_padding_would_be_noticed(tmp_path: Path) -> None:
    np.random.seed(0)
    with pytest.raises(AssertionError):
        check_views(pipeline([{"type": "ShiftBoxes"}])(painted(tmp_path)))


def test_a_view_that_drops_boxes_renames_none(tmp_path: Path) -> None:
    crop = {"type": "RandomCrop", "crop_type": "relative_range", "crop_size": (0.5, 0.5)}
    np.random.seed(1)
    data = pipeline([crop])(painted(tmp_path))
    kept = {v: data["data_samples"][v].gt_instances.instance_ids.tolist() for v in ("online", "momentum")}
    assert 0 < len(kept["online"]) < 12
    assert kept["online"] != kept["momentum"]
    for view in ("online", "momentum"):
        instances = data["data_samples"][view].gt_instances
        for box, number in zip(instances.bboxes.tensor, instances.instance_ids.tolist(), strict=True):
            x, y = box[:2].add(box[2:]).div(2).int().tolist()
            pixel = data["inputs"][view][:, y, x].numpy()
            assert np.abs(pixel.astype(int) - COLOURS[number]).max() < 30


def test_clusters_travel_beside_the_numbers(tmp_path: Path) -> None:
    data = pipeline()(painted(tmp_path))
    instances = data["data_samples"]["momentum"].gt_instances
    assert instances.labels.tolist() == [3] * 12
    assert instances.instance_ids.tolist() == list(range(12))


def test_boxes_without_an_area_are_dropped_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    item = painted(tmp_path)
    boxes = item["instances"].boxes
    boxes[2, 2] = boxes[2, 0]
    boxes[5, 3] = boxes[5, 1] - 4
    boxes[7, 1], boxes[9] = np.nan, np.inf  # clipped to the image
    np.random.seed(0)
    data = pipeline()(item)
    for view in ("online", "momentum"):
        instances = data["data_samples"][view].gt_instances
        assert instances.instance_ids.tolist() == [0, 1, 3, 4, 6, 8, 10, 11]
        assert len(instances.bboxes) == len(instances.labels) == 8
    check_views(data)


def test_an_image_of_nothing_but_boxes_without_an_area_has_none(tmp_path: Path) -> None:
    item = painted(tmp_path)
    item["instances"].boxes[:, 2] = item["instances"].boxes[:, 0]
    data = pipeline()(item)
    assert len(data["data_samples"]["online"].gt_instances) == 0
    assert data["data_samples"]["online"].gt_instances.bboxes.tensor.shape == (0, 4)


def test_the_image_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mmcv

    calls: list[int] = []
    decode = mmcv.imfrombytes

    def counted(*args: Any, **kwargs: Any) -> np.ndarray:
        calls.append(1)
        return decode(*args, **kwargs)

    monkeypatch.setattr(mmcv, "imfrombytes", counted)
    pipeline()(painted(tmp_path))
    assert len(calls) == 1


def test_views_differ_in_scale_flip_and_colour(tmp_path: Path) -> None:
    np.random.seed(0)
    seen = [pipeline(colour=True)(painted(tmp_path)) for _ in range(24)]
    metas = [s["data_samples"][v].metainfo for s in seen for v in ("online", "momentum")]
    assert len({m["img_shape"] for m in metas}) > 3
    assert {bool(m["flip"]) for m in metas} == {True, False}
    corners = {tuple(s["inputs"]["online"][:, 0, 0].tolist()) for s in seen}
    assert len(corners) > 1, "black stays black under every colour operation but solarize and the like"


def test_proposals_are_drawn_at_random_not_from_the_top() -> None:
    results = {
        "gt_bboxes": np.arange(100),
        "gt_bboxes_labels": np.arange(100),
        "gt_ignore_flags": np.zeros(100, bool),
    }
    drawn = [SampleProposals(10).transform(dict(results))["gt_bboxes"] for _ in range(50)]
    assert all(len(d) == 10 and (np.diff(d) > 0).all() for d in drawn)
    assert len(np.unique(np.concatenate(drawn))) > 90
    assert len(SampleProposals(500).transform(dict(results))["gt_bboxes"]) == 100
    best = [SampleProposals(10, among=20).transform(dict(results))["gt_bboxes"] for _ in range(50)]
    assert np.concatenate(best).max() == 19
    for wrong in ({"num": 0}, {"num": 10, "among": 5}):
        with pytest.raises(ValueError, match="num <= among"):
            SampleProposals(**wrong)
