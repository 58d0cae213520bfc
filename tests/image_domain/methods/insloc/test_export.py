"""InsLoc checkpoints, ours and the published layout, in plain detectors."""

import aligndet  # noqa: F401, I001  first: makes mmcv importable where it has no compiled ops

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from torch import Tensor, nn

from aligndet.image_domain.methods.insloc import InsLoc
from aligndet.common.checkpoints import CheckpointError
from aligndet.image_domain.methods.export import Export, build_detector, export_parts
from aligndet.image_domain.methods.insloc.export import METHOD
from aligndet.image_domain.normalisation import normalisation_in
from aligndet.image_domain.sources import Source
from aligndet.training.run import load_config
from tests.image_domain.methods.insloc.test_model import batch, build
from tests.command import command

export_tool = command("export")
convert_backbone = command("backbone convert")

ROOT = Path(__file__).parents[4]

FINETUNE = ROOT / "configs" / "finetune"


def export_insloc(source: Source, detector: nn.Module, allow_partial: bool = False) -> Export:
    return export_parts(source, METHOD, detector, allow_partial)


@cache
def shipped(name: str) -> Config:
    """A shipped fine-tuning config; not to be changed."""
    return load_config(str(FINETUNE / f"insloc_{name}.py"))


def small(name: str) -> Config:
    """A shipped fine-tuning config in the widths of ``test_model.build``."""
    cfg = copy.deepcopy(shipped(name))
    model = cfg.model
    model.backbone.depth = 18
    if "c4" in name:
        model.roi_head.shared_head.depth = 18
        model.roi_head.bbox_roi_extractor.out_channels = model.rpn_head.in_channels = 256
        model.rpn_head.feat_channels = 16
        model.roi_head.bbox_head.in_channels = 512
        if "mask_head" in model.roi_head:
            model.roi_head.mask_head.in_channels = 512
    else:
        model.backbone.base_channels = 8
        model.neck.update(in_channels=[8, 16, 32, 64], out_channels=16)
        model.rpn_head.update(in_channels=16, feat_channels=16)
        head = model.roi_head
        head.bbox_roi_extractor.out_channels = 16
        head.bbox_head.update(in_channels=16, conv_out_channels=16, fc_out_channels=32)
        if "mask_head" in head:
            head.mask_roi_extractor.out_channels = 16
            head.mask_head.update(in_channels=16, conv_out_channels=16)
    return cfg


def checkpoint(model: InsLoc, path: Path) -> str:
    torch.save({"meta": {}, "state_dict": model.state_dict()}, path)
    return str(path)


@cache
def trained(architecture: str) -> InsLoc:
    """A model whose query and key networks differ, with running statistics of its own; not to be changed."""
    model = build(architecture)
    model.loss(**batch())
    with torch.no_grad():
        for parameter in model.encoder_q.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.loss(**batch(seed=1))
    return model.eval()


def loaded(tmp_path: Path, cfg: Config, model: InsLoc) -> tuple[nn.Module, str]:
    """The detector after the tool and mmengine's own loading, and what the tool printed."""
    config_file, out = tmp_path / "detector.py", tmp_path / "detector.pth"
    cfg.dump(config_file)
    source = checkpoint(model, tmp_path / "insloc.pth")
    assert export_tool([source, str(out), "--config", str(config_file)]) == 0
    detector = build_detector(cfg)
    load_checkpoint(detector, str(out), map_location="cpu")
    return detector.eval(), str(out)


@pytest.mark.parametrize("name", ["mask-rcnn_r50_fpn_1x_coco", "faster-rcnn_r50_fpn_24k_voc0712"])
def test_the_fpn_detector_computes_what_the_query_network_computed(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Pyramid and shared RoI features of one image are equal in both, to the first fully connected layer."""
    model = trained("fpn")
    detector: Any = loaded(tmp_path, small(name), model)[0]
    image = torch.randn(1, 3, 64, 64)
    query: Any = model.encoder_q
    with torch.no_grad():
        ours, theirs = query.neck(query.backbone(image)), detector.extract_feat(image)
        for level, other in zip(ours, theirs, strict=False):
            torch.testing.assert_close(level, other, atol=1e-5, rtol=0)
        pooled = torch.randn(3, 16, 7, 7)
        heads = query.roi_head.bbox_head, detector.roi_head.bbox_head
        features = []
        for head in heads:
            x = pooled
            for conv in head.shared_convs:
                x = conv(x)
            features.append(head.shared_fcs[0](x.flatten(1)))
    torch.testing.assert_close(features[0], features[1], atol=1e-5, rtol=0)
    report = capsys.readouterr().out
    # ResNet-18 has 120 tensors, the FPN 8 layers of 6, the head 4 convolutions of 6 and one fc.
    assert "kept        194  backbone 120, neck 48, roi_head.bbox_head 26: taken over" in report
    assert "roi_head.mask_head" in report or "mask" not in name


@pytest.mark.parametrize("name", ["mask-rcnn_r50_c4_1x_coco", "faster-rcnn_r50_c4_24k_voc0712"])
def test_the_c4_detector_computes_what_the_query_network_computed(name: str, tmp_path: Path) -> None:
    model = trained("c4")
    detector: Any = loaded(tmp_path, small(name), model)[0]
    image, pooled = torch.randn(1, 3, 64, 64), torch.randn(2, 256, 14, 14)
    query: Any = model.encoder_q
    with torch.no_grad():
        torch.testing.assert_close(
            query.backbone(image)[0], detector.extract_feat(image)[0], atol=1e-5, rtol=0
        )
        torch.testing.assert_close(
            query.roi_head.shared_head(pooled), detector.roi_head.shared_head(pooled), atol=1e-5, rtol=0
        )


def published(model: InsLoc, module: str = "") -> dict[str, Tensor]:
    """The names of the published code: both networks at the top, queues and their pointer."""
    names = {}
    for key, value in model.state_dict().items():
        part, _, rest = key.partition(".")
        if part == "encoder_q":
            names[f"{module}{rest}"] = value
        elif key.startswith("encoder_k.module."):
            top, _, tail = rest.removeprefix("module.").partition(".")
            names[f"{module}{top}_k.{tail}"] = value
    names[f"{module}queues"] = model.queue.keys
    names[f"{module}queue_ptr"] = torch.zeros(1)
    return names


@pytest.mark.parametrize("module", ["", "module."])
@pytest.mark.parametrize(
    ("architecture", "name"), [("fpn", "mask-rcnn_r50_fpn_1x_coco"), ("c4", "mask-rcnn_r50_c4_1x_coco")]
)
def test_the_published_layout_gives_the_same_detector(architecture: str, name: str, module: str) -> None:
    model = trained(architecture)
    detector = build_detector(small(name))
    ours = export_insloc(Source("ours", dict(model.state_dict())), detector)
    theirs = export_insloc(Source("theirs", published(model, module)), detector)
    assert ours.state.keys() == theirs.state.keys()
    assert all(torch.equal(ours.state[key], theirs.state[key]) for key in ours.state)
    assert ours.missing == theirs.missing
    assert f"{module}queues" in theirs.dropped
    assert f"{module}backbone_k.conv1.weight" in theirs.dropped


def test_what_is_kept_and_dropped() -> None:
    result = export_insloc(
        Source("x", dict(trained("fpn").state_dict())), build_detector(small("mask-rcnn_r50_fpn_1x_coco"))
    )
    head = "roi_head.bbox_head."
    assert f"{head}shared_fcs.0.weight" in result.state
    assert f"encoder_q.{head}shared_fcs.1.weight" in result.dropped
    assert f"encoder_q.{head}fc_cls.weight" in result.dropped
    assert {"queue.keys", "encoder_k.module.backbone.conv1.weight"} <= set(result.dropped)
    random = {key.split(".")[0] for key in result.missing}
    assert random == {"rpn_head", "roi_head"}
    assert {key for key in result.missing if key.startswith(head)} == {
        f"{head}fc_{kind}.{part}" for kind in ("cls", "reg") for part in ("weight", "bias")
    }


def test_the_small_configs_belong_together() -> None:
    """Backbone, FPN and head of the CPU-sized InsLoc enter its detector; RPN and last layers stay random."""
    cfg = load_config(str(ROOT / "configs" / "image_domain" / "insloc_r18_fpn_64px_folder.py"))
    model = InsLoc(**{key: value for key, value in cfg.model.items() if key != "type"})
    detector = load_config(str(ROOT / "configs" / "finetune" / "insloc_faster-rcnn_r18_fpn_192px.py"))
    result = export_insloc(Source("x", dict(model.state_dict())), build_detector(detector))
    assert all(key.startswith(("rpn_head.", "roi_head.bbox_head.fc_")) for key in result.missing)
    assert "roi_head.bbox_head.shared_convs.3.conv.weight" in result.state


def test_c4_weights_fill_a_pyramid_detectors_backbone() -> None:
    """The last stage moves from the RoI head to the backbone; the pyramid stays random."""
    cfg = small("mask-rcnn_r50_fpn_1x_coco")
    cfg.model.backbone.pop("base_channels")
    cfg.model.neck.in_channels = [64, 128, 256, 512]
    model = trained("c4")
    result = export_insloc(Source("c4", dict(model.state_dict())), build_detector(cfg))
    stage: Any = model.encoder_q.roi_head.shared_head
    assert torch.equal(result.state["backbone.layer4.0.conv1.weight"], stage.layer4[0].conv1.weight)
    assert {key.split(".")[0] for key in result.state} == {"backbone"}
    assert not [key for key in result.missing if key.startswith("backbone.")]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model.neck.norm_cfg": None}, "neck.lateral_convs.0"),
        ({"model.backbone.depth": 34}, "backbone.layer1.2"),
        ({"model.roi_head.bbox_head.norm_cfg": None}, "shared_convs.0.conv.bias"),
        ({"model.neck.out_channels": 8, "model.rpn_head.in_channels": 8}, "neck.lateral_convs.0"),
    ],
)
def test_a_detector_of_another_make_is_refused(change: dict[str, Any], named: str) -> None:
    cfg = small("mask-rcnn_r50_fpn_1x_coco")
    cfg.merge_from_dict(change)
    source = Source("insloc.pth", dict(trained("fpn").state_dict()))
    detector = build_detector(cfg)
    with pytest.raises(CheckpointError, match=named):
        export_insloc(source, detector)
    assert export_insloc(source, detector, allow_partial=True).state


def test_a_head_without_convolutions_takes_no_fully_connected_layer() -> None:
    """A two-fc head has an fc of the right shape, but it reads pooled features, not convolved ones."""
    cfg = small("mask-rcnn_r50_fpn_1x_coco")
    head = cfg.model.roi_head.bbox_head
    head.type = "Shared2FCBBoxHead"
    result = export_insloc(Source("x", dict(trained("fpn").state_dict())), build_detector(cfg))
    assert not [key for key in result.state if key.startswith("roi_head.bbox_head")]


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    config_file = tmp_path / "detector.py"
    small("mask-rcnn_r50_fpn_1x_coco").dump(config_file)
    moco = tmp_path / "moco.pth"
    torch.save({"state_dict": {"module.encoder_q.conv1.weight": torch.zeros(1)}}, moco)
    assert export_tool([str(moco), str(tmp_path / "out.pth"), "--config", str(config_file)]) == 2
    assert "no tensor fits" in capsys.readouterr().err or "fills only" in capsys.readouterr().err
    with pytest.raises(CheckpointError, match="is no InsLoc checkpoint: expected encoder_q"):
        export_insloc(
            Source("x.pth", {"a": torch.zeros(1)}), build_detector(small("mask-rcnn_r50_fpn_1x_coco"))
        )
    assert not (tmp_path / "out.pth").exists()


def test_the_normalisation_travels(tmp_path: Path) -> None:
    """Ours is in the checkpoint's config, the published code's is known; both are written for the check."""
    model = trained("fpn")
    stage_1 = load_config(f"{ROOT}/configs/image_domain/insloc_r50_fpn_200e_imagenet.py")
    cfg = small("mask-rcnn_r50_fpn_1x_coco")
    cfg.dump(tmp_path / "detector.py")
    for number, (state, meta) in enumerate(
        [(model.state_dict(), {"cfg": stage_1.pretty_text}), (published(model), {})]
    ):
        source, out = tmp_path / f"{number}.pth", tmp_path / f"out{number}.pth"
        torch.save({"meta": meta, "state_dict": state}, source)
        assert export_tool([str(source), str(out), "--config", str(tmp_path / "detector.py")]) == 0
        known = normalisation_in(torch.load(out, weights_only=False)["meta"])
        assert known is not None
        assert (known.mean, known.channel_order) == ((123.675, 116.28, 103.53), "rgb")


@pytest.mark.parametrize("architecture", ["fpn", "c4"])
def test_the_backbone_tool_reads_insloc_too(
    architecture: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Any detector's backbone from an InsLoc checkpoint: the query network's is chosen, not the key's."""
    model = trained(architecture)
    backbone = load_config(f"{ROOT}/configs/image_domain/insloc_r50_fpn_200e_imagenet.py").model.backbone
    backbone.update(depth=18)
    if architecture == "fpn":
        backbone.base_channels = 8
    else:
        backbone.update(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,))
    Config({"backbone": backbone}).dump(tmp_path / "backbone.py")
    source, out = checkpoint(model, tmp_path / "insloc.pth"), tmp_path / "backbone.pth"
    assert convert_backbone([source, str(out), "--config", str(tmp_path / "backbone.py")]) == 0
    state = torch.load(out, weights_only=False)["state_dict"]
    assert torch.equal(state["conv1.weight"], model.encoder_q.backbone.conv1.weight)  # type: ignore[union-attr]
    assert "checkpoint prefix 'encoder_q.backbone.'" in capsys.readouterr().out
