"""Detectors that look for no upright boxes are refused by what their config says, in one line, at once.

Kind: rotated boxes of libraries with heads of their own, or of mmdet's heads with another coder; masks alone,
language, space and key points.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from mmdet.models import RetinaHead
from mmdet.models.task_modules import DeltaXYWHBBoxCoder
from mmdet.registry import MODELS, TASK_UTILS
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS as ROOT
from mmengine.registry import Registry

from aligndet.box_domain.adapters import adapter_for, refuse_config
from aligndet.common.errors import InputError
from tests.registration import registered_in
from tests.small import STOCK, detector, tiny


class FiveNumbers(DeltaXYWHBBoxCoder):
    encode_size = 5


class SevenNumbers(DeltaXYWHBBoxCoder):
    def __init__(self, code_size: int = 7) -> None:
        super().__init__()

    encode_size = property(lambda self: 7)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    registry = Registry("model", parent=ROOT, scope="mmrotate")
    registry.register_module(module=type("TurnedHead", (RetinaHead,), {}))
    with registered_in(TASK_UTILS, FiveNumbers, SevenNumbers):
        yield
    ROOT.children.pop("mmrotate")


def changed(place: str, value: Any, of: Any = None) -> ConfigDict:
    config = Config({"model": tiny() if of is None else of})
    config.merge_from_dict({f"model.{place}": value})
    return config.model


ROTATED = [
    changed("bbox_head.bbox_coder.type", "FiveNumbers"),
    changed("bbox_head.bbox_coder", {"type": "NobodyKnows", "encode_size": 5}),
    changed("roi_head.bbox_head.bbox_coder.type", "FiveNumbers", detector("faster_rcnn")),
    changed("roi_head.bbox_head.predict_box_type", "rbox", detector("faster_rcnn")),
    changed("bbox_head.loss_angle", {"type": "L1Loss"}),
    changed("bbox_head.angle_version", "le90"),
    changed("bbox_head.type", "mmrotate.TurnedHead"),
    changed("type", "mmrotate.RotatedRetinaNet"),
]
OTHERS = [
    (changed("bbox_head.bbox_coder", {"type": "SevenNumbers", "_delete_": True}), "four numbers", "2-D"),
    (changed("bbox_head.bbox_code_size", 9), "four numbers", "2-D detector"),
    (changed("pts_bbox_head", {"type": "CenterHead"}), r"in space \(3-D\)", "2-D detector"),
    (changed("type", "mmpose.TopdownPoseEstimator"), "key points", "box detector"),
    (changed("text_model", {"type": "Clip"}), "comparing with text", "DINO"),
    (changed("backbone.text_encoder", {"type": "Bert"}), "comparing with text", "DINO"),
    (changed("bbox_head.class_embed", "data/classes.npy"), "comparing with text", "DINO"),
    (changed("bbox_head.predictor", {"zs_weight_path": "data/clip.npy"}), "comparing with text", "DINO"),
]


@pytest.mark.parametrize(
    ("config", "why", "instead"), [*((c, "boxes are rotated", "upright detector") for c in ROTATED), *OTHERS]
)
def test_a_model_is_refused_with_what_it_is_and_what_to_do(config: Any, why: str, instead: str) -> None:
    with pytest.raises(InputError, match=f"cannot be pre-trained here: .*{why}.*{instead}") as caught:
        adapter_for(config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("default_scope", "mmrotate"),
        ("train_pipeline", [{"type": "LoadAnnotations", "box_type": "qbox"}]),
        ("train_dataloader", {"dataset": {"pipeline": [{"transforms": [{"box_type": "rbox"}]}]}}),
        ("val_dataloader", {"dataset": {"pipeline": [{"box_type_mapping": {"gt_bboxes": "rbox"}}]}}),
    ],
)
def test_the_data_tell_too(key: str, value: Any) -> None:
    stock = Config({"model": tiny(), key: value})
    place = r"\(default_scope='mmrotate'\)" if key == "default_scope" else rf"\({key}[\w.\[\]]*='[rq]box'\)"
    with pytest.raises(InputError, match=rf"RetinaNet cannot .*rotated.*{place}"):
        refuse_config(stock)


@pytest.mark.parametrize("name", STOCK)
def test_stock_detectors_are_not_taken_for_others(name: str) -> None:
    refuse_config(Config({"model": detector(name)}))


def test_words_that_mean_nothing_of_the_kind() -> None:
    config = changed("bbox_head.bbox_coder.encode_size", 4)
    config.backbone.update(patch_embed={"type": "PatchEmbed"}, context={"type": "C"}, prompt={"type": "VPT"})
    config.neck.update(pos_embed="sine", rotate_angle=30)
    config.bbox_head.update(with_angle=None, use_box_type=True, class_weight="data/freq.npy")
    stock = {"model": config, "train_pipeline": [{"type": "Rotate", "angle": 30, "box_type": "hbox"}]}
    refuse_config(Config(stock))
    assert adapter_for(config).__name__ == "AnchorAdapter"


def test_masks_alone_are_refused() -> None:
    config = changed("mask_head", {"type": "SOLOV2Head"})
    del config.bbox_head
    with pytest.raises(InputError, match=r"RetinaNet.* but mask_head, so it predicts no boxes"):
        adapter_for(config)
    assert MODELS.get("SOLOV2Head")
