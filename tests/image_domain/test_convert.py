"""From a checkpoint to a backbone file, by the functions and by the tool."""

from pathlib import Path

import pytest
import timm
import torch
import torchvision
from mmengine.config import Config
from mmengine.model import BaseModule

from aligndet.common.errors import InputError
from aligndet.image_domain.backbones import backbone_config, build_backbone, starts_pretrained
from aligndet.image_domain.convert import NoMatchError, check_style, convert, normalisation_hint, save
from aligndet.image_domain.normalisation import Normalisation
from aligndet.image_domain.sources import Source
from tests.command import command

main = command("backbone convert")

RESNET18 = "default_scope = 'mmdet'\nbackbone = dict(type='ResNet', depth=18, out_indices=(3,))\n"
LITE0 = """
model = dict(
    backbone=dict(type='mmpretrain.TIMMBackbone', model_name='tf_efficientnet_lite0',
                  features_only=True, out_indices=(2, 3, 4), pretrained=True))
"""


def config(tmp_path: Path, text: str) -> str:
    path = tmp_path / "config.py"
    path.write_text(text)
    return str(path)


@pytest.fixture
def resnet18(tmp_path: Path) -> str:
    torch.manual_seed(0)
    path = tmp_path / "torchvision.pth"
    torch.save(torchvision.models.resnet18().state_dict(), path)
    return str(path)


def test_torchvision_file_into_resnet(tmp_path: Path, resnet18: str, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "backbone.pth"
    assert main([resnet18, str(out), "--config", config(tmp_path, RESNET18)]) == 0
    report = capsys.readouterr().out
    assert "unexpected     2  fc.weight, fc.bias" in report
    assert "missing     0" in report
    backbone = build_backbone(
        {
            "backbone": {
                "type": "ResNet",
                "depth": 18,
                "init_cfg": {"type": "Pretrained", "checkpoint": str(out)},
            }
        },
        initialise=True,
    )
    source = torch.load(resnet18)
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, source[key]), key


def test_a_backbone_that_is_not_finite_is_refused(resnet18: str) -> None:
    tensors = torch.load(resnet18)
    backbone = build_backbone({"backbone": {"type": "ResNet", "depth": 18}})
    tensors["fc.bias"][0] = torch.nan  # which no detector takes
    assert convert(Source("x.pth", tensors), backbone).state
    tensors["layer1.0.bn1.running_var"][0] = torch.inf
    with pytest.raises(InputError, match=r"x\.pth: layer1\.0\.bn1\.running_var is not finite: "):
        convert(Source("x.pth", tensors), backbone)


def test_half_precision_timm_file_into_timm_backbone(tmp_path: Path) -> None:
    state = timm.create_model("tf_efficientnet_lite0").half().state_dict()
    torch.save(state, tmp_path / "fp16.pth")
    out = tmp_path / "backbone.pth"
    assert main([str(tmp_path / "fp16.pth"), str(out), "--config", config(tmp_path, LITE0)]) == 0
    saved = torch.load(out)["state_dict"]
    assert saved["timm_model.conv_stem.weight"].dtype is torch.float32
    assert torch.equal(saved["timm_model.conv_stem.weight"], state["conv_stem.weight"].float())
    assert not [key for key in saved if "classifier" in key]


def test_timm_names_with_flattened_stages() -> None:
    source = Source("timm", dict(timm.create_model("convnext_atto").state_dict()))
    backbone = timm.create_model("convnext_atto", features_only=True)
    assert convert(source, backbone).match.fraction == 1


@pytest.mark.parametrize("depth", [34, 50])
def test_another_depth_is_an_error_unless_partial_is_allowed(
    depth: int, tmp_path: Path, resnet18: str, capsys: pytest.CaptureFixture
) -> None:
    cfg = config(tmp_path, RESNET18.replace("18", str(depth)))
    out = tmp_path / "backbone.pth"
    assert main([resnet18, str(out), "--config", cfg]) == 2
    assert "fills only" in capsys.readouterr().err
    assert not out.exists()
    assert main([resnet18, str(out), "--config", cfg, "--allow-partial"]) == 0
    assert torch.load(out)["meta"]["missing"]


def test_nothing_in_common_is_an_error_even_when_partial_is_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    torch.save({"patch_embed.proj.weight": torch.ones(3)}, tmp_path / "vit.pth")
    out = tmp_path / "backbone.pth"
    argv = [str(tmp_path / "vit.pth"), str(out), "--config", config(tmp_path, RESNET18), "--allow-partial"]
    assert main(argv) == 2
    message = capsys.readouterr().err
    assert "no tensor fits the backbone" in message
    assert "patch_embed.proj.weight" in message
    assert not out.exists()


def test_a_wrong_prefix_is_an_error(tmp_path: Path, resnet18: str) -> None:
    argv = [
        resnet18,
        str(tmp_path / "b.pth"),
        "--config",
        config(tmp_path, RESNET18),
        "--prefix",
        "encoder.",
    ]
    assert main(argv) == 2


def test_equally_good_prefixes_are_named() -> None:
    tensors = {f"{name}.weight": torch.ones(2, 2) for name in ("online.net", "ema.net")}
    result = convert(Source("x", tensors), torch.nn.Linear(2, 2, bias=False))
    assert {result.match.renaming.source, *result.tied} == {"online.net.", "ema.net."}


def test_threshold_counts_tensors() -> None:
    source = Source("x", {"weight": torch.ones(2, 2)})
    with pytest.raises(NoMatchError, match="only 50%"):
        convert(source, torch.nn.Linear(2, 2), min_match=0.51)
    assert convert(source, torch.nn.Linear(2, 2), min_match=0.5).match.missing == ("bias",)


def test_one_tensor_of_another_shape_is_an_error() -> None:
    """A stem for small images (3 x 3) instead of 7 x 7: all but one of 120 tensors fit."""
    tensors = torchvision.models.resnet18().state_dict() | {"conv1.weight": torch.zeros(64, 3, 3, 3)}
    backbone = torchvision.models.resnet18()
    with pytest.raises(NoMatchError, match=r"shape differs +1  conv1\.weight"):
        convert(Source("cifar", tensors), backbone)
    assert convert(Source("cifar", tensors), backbone, allow_partial=True).match.mismatched == (
        "conv1.weight",
    )


def test_config_says_where_the_backbone_is() -> None:
    part = {"type": "ResNet", "depth": 18}
    for cfg in (
        {"backbone": part},
        {"model": {"backbone": part}},
        {"model": {"detector": {"backbone": part}}},
    ):
        assert backbone_config(cfg) == part
    with pytest.raises(InputError, match="no backbone in the config"):
        backbone_config({"model": {"neck": part}})


def test_whether_a_config_starts_pretrained() -> None:
    pretrained = {"type": "Pretrained", "checkpoint": "x.pth"}
    assert starts_pretrained({"backbone": {"type": "A", "init_cfg": pretrained}})
    assert starts_pretrained({"backbone": {"type": "A", "pretrained": True}})
    assert not starts_pretrained({"backbone": {"type": "A", "init_cfg": [{"type": "Kaiming"}]}})


def test_normalisation_hint_names_what_to_write() -> None:
    zero_one = Normalisation((0.0,) * 3, (255.0,) * 3, "rgb")
    imagenet = Normalisation((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "rgb")
    assert "unknown" in normalisation_hint(None, imagenet)
    assert "equal" in normalisation_hint(imagenet, imagenet)
    hint = normalisation_hint(zero_one, imagenet)
    assert "std=[255.0, 255.0, 255.0], bgr_to_rgb=True" in hint
    assert "differs" in hint


def test_installed_config_names_are_accepted(tmp_path: Path, resnet18: str) -> None:
    argv = [resnet18, str(tmp_path / "b.pth"), "--config", "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"]
    assert main(argv) == 0
    assert Config(torch.load(tmp_path / "b.pth")["meta"]).matched == 120


def test_a_style_that_names_do_not_show_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Stock FCOS strides in the first 1 x 1 convolution (caffe), MoCo's ResNet-50 in the 3 x 3 one."""
    text = "model = dict(backbone=dict(type='ResNet', depth=50))"
    torch.save({"state_dict": {"backbone.a": torch.ones(1)}, "meta": {"cfg": text}}, tmp_path / "moco.pth")
    fcos = "mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py"
    assert main([str(tmp_path / "moco.pth"), str(tmp_path / "b.pth"), "--config", fcos]) == 2
    assert "Set model.backbone.style='pytorch'" in capsys.readouterr().err
    source = Source("x", {}, style="caffe")
    check_style(source, {"type": "ResNet", "depth": 50, "style": "caffe"})
    check_style(source, {"type": "ResNet", "depth": 18})  # basic blocks have no style
    check_style(Source("unknown", {}), {"type": "ResNet", "depth": 50})


class Deaf(BaseModule):
    """A backbone that ignores ``init_cfg``, as one with an ``init_weights`` of its own may."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)

    def init_weights(self) -> None:
        pass


def test_a_file_that_the_backbone_does_not_load_is_not_written(tmp_path: Path) -> None:
    conversion = convert(
        Source("x", {"linear.weight": torch.ones(2, 2), "linear.bias": torch.ones(2)}), Deaf()
    )
    with pytest.raises(NoMatchError, match="fit Deaf, but init_cfg"):
        save(conversion, tmp_path / "b.pth", Deaf())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("official", [False, True], ids=["keys of a detector", "keys of the official code"])
def test_swin_is_written_as_it_reads(official: bool, tmp_path: Path) -> None:
    """mmdet's Swin reads ``backbone.`` keys; with ``convert_weights``, in stock configs, official ones."""
    part = {"type": "SwinTransformer", "embed_dims": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2]}
    part["convert_weights"] = official
    torch.manual_seed(0)
    state = build_backbone({"backbone": part}).state_dict()
    conversion = convert(Source("x", state), build_backbone({"backbone": part}))
    save(conversion, tmp_path / "b.pth", build_backbone({"backbone": part}))
    assert (
        any(key.startswith("backbone.") for key in torch.load(tmp_path / "b.pth")["state_dict"]) != official
    )
    loads = {**part, "init_cfg": {"type": "Pretrained", "checkpoint": str(tmp_path / "b.pth")}}
    loaded = build_backbone({"backbone": loads}, initialise=True).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())
