"""The stock detector is built where none of the files are that its config names.

Kind: backbones that take their weights by options of their own, which their constructor may require; the
file is on another machine by the time of the export.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.models import ResNet
from mmdet.registry import MODELS
from mmengine.config import ConfigDict

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.common.errors import InputError
from aligndet.transfer.stock import build_stock, without_downloads
from tests.registration import registered_in
from tests.small import tiny

FILE = "weights/of/elsewhere.pth"


class Started(ResNet):
    """Requires what it loads, and reads the files as soon as it is built."""

    def __init__(
        self, pretrained: Any, checkpoint_path: str, timm: Any, init_cfg: Any, **options: Any
    ) -> None:
        super().__init__(**options, init_cfg=init_cfg)
        self.given = (pretrained, checkpoint_path, timm, options)
        for file in (pretrained, checkpoint_path):
            if file:
                self.load_state_dict(torch.load(file), strict=False)


class Reads(ResNet):
    """Takes anything, and asks for its key by name (TransNeXt)."""

    def __init__(self, **kwargs: Any) -> None:
        self.file = kwargs.pop("pretrained")
        super().__init__(**kwargs)
        if self.file:
            torch.load(self.file)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with registered_in(MODELS, Started, Reads):
        yield


def with_backbone(kind: str, **options: Any) -> ConfigDict:
    config = tiny()
    config.backbone.update(type=kind, **options)
    return config


def test_required_options_name_no_file() -> None:
    given = {"pretrained": FILE, "checkpoint_path": FILE, "timm": True}
    pretrained = {"type": "Pretrained", "checkpoint": FILE}
    config = with_backbone("Started", **given, init_cfg=pretrained)
    plain = without_downloads(config).backbone
    assert (plain.pretrained, plain.checkpoint_path, plain.timm) == (None, "", True)
    assert plain.init_cfg is None, "required, so it stays, and names nothing"
    backbone: Any = build_stock(config).backbone
    assert backbone.given[:3] == (None, "", True)
    assert config.backbone.pretrained == FILE, "the user's config is left as it was"


def test_an_option_that_is_read_by_name_stays() -> None:
    backbone: Any = build_stock(with_backbone("Reads", pretrained=FILE)).backbone
    assert backbone.file is None


@pytest.mark.parametrize(
    ("value", "left"),
    [(FILE, None), ("torchvision://resnet18", None), (True, False), (None, None), (False, False), ("", "")],
)
def test_what_says_to_load_says_not_to(value: Any, left: Any) -> None:
    plain = without_downloads(with_backbone("Reads", pretrained=value)).backbone
    assert plain.pretrained is left or plain.pretrained == left == ""


@pytest.mark.parametrize(
    "value", ["a/b.pt", "c.safetensors", "https://x/y.pth", "open-mmlab://resnet50_caffe"]
)
def test_files_of_weights_are_told_under_any_key(value: str) -> None:
    config = with_backbone("ResNet", stem={"ours": value, "other": "bilinear"})
    assert without_downloads(config).backbone.stem == {"ours": None, "other": "bilinear"}


def test_of_several_rules_of_initial_weights_the_others_stay() -> None:
    rules = [{"type": "Kaiming", "layer": "Conv2d"}, {"type": "Pretrained", "checkpoint": FILE}]
    assert without_downloads(with_backbone("ResNet", init_cfg=rules)).backbone.init_cfg == rules[:1]
    assert "init_cfg" not in without_downloads(with_backbone("ResNet", init_cfg=rules[1])).backbone


def test_training_reads_the_file_and_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.full((8, 3, 7, 7), 0.5)}, tmp_path / "start.pth")
    given = {"checkpoint_path": "", "timm": False, "init_cfg": None}
    config = with_backbone("Started", pretrained=str(tmp_path / "start.pth"), **given)
    model: Any = BoxDomainPretrainer(config)
    assert (model.online.backbone.conv1.weight == 0.5).all()
    (tmp_path / "start.pth").unlink()
    assert build_stock(config).backbone.conv1.weight.shape == (8, 3, 7, 7)  # type: ignore[union-attr]


def test_a_file_that_a_constructor_cannot_do_without_is_named() -> None:
    class Needs(ResNet):
        def __init__(self, table: str, **options: Any) -> None:
            super().__init__(**options)
            Path(table).read_text()

    config = tiny()
    config.backbone.update(type=Needs, table="gone.txt")
    with pytest.raises(InputError, match=r"cannot build the detector 'RetinaNet': .*gone\.txt") as caught:
        build_stock(config)
    assert "\n" not in str(caught.value)
