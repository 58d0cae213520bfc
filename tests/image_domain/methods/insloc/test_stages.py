"""InsLoc's pyramid enters stage 2: frozen backbone, neck and head go on from where InsLoc left them."""

import aligndet  # noqa: F401, I001  first: makes mmcv importable where it has no compiled ops

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from torch import Tensor

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.image_domain.methods.export import build_detector
from aligndet.image_domain.normalisation import check_normalisation, normalisation_of
from aligndet.training.run import load_config
from tests.small import batch
from tests.image_domain.methods.insloc.test_export import checkpoint, small, trained
from tests.command import command

export_tool = command("export")

ROOT = Path(__file__).parents[4]

STAGE_2 = f"{ROOT}/configs/box_domain/insloc_mask-rcnn_r50_fpn_1x_coco.py"


def exported(tmp_path: Path) -> Path:
    """A trained small InsLoc as a detector checkpoint."""
    small("mask-rcnn_r50_fpn_1x_coco").dump(tmp_path / "detector.py")
    source, out = checkpoint(trained("fpn"), tmp_path / "insloc.pth"), tmp_path / "detector.pth"
    assert export_tool([source, str(out), "--config", str(tmp_path / "detector.py")]) == 0
    return out


@pytest.fixture
def stage_2(tmp_path: Path) -> Config:
    """The shipped stage-2 config, its detector small, started from a small InsLoc."""
    config = load_config(STAGE_2)
    assert config.model.detector.init_cfg.checkpoint == "work_dirs/insloc_r50_fpn_200e_imagenet/detector.pth"
    config.model.detector = small("mask-rcnn_r50_fpn_1x_coco").model
    config.model.detector.train_cfg.rpn_proposal.update(nms_pre=100, max_per_img=50)
    config.model.detector.init_cfg = {"type": "Pretrained", "checkpoint": str(exported(tmp_path))}
    return config


def pretrainer(config: Config) -> BoxDomainPretrainer:
    torch.manual_seed(1)
    model = BoxDomainPretrainer(**{key: value for key, value in config.model.items() if key != "type"})
    model.init_weights()
    return model.train()


def test_stage_2_starts_from_insloc_in_both_networks(stage_2: Config) -> None:
    model, query = pretrainer(stage_2), trained("fpn").encoder_q.state_dict()
    shared = [key for key in query if ".shared_fcs.1." not in key and ".fc_cls." not in key]
    assert len(shared) == 194
    for network in (model.online, model.momentum):
        state = network.state_dict()
        for key in (key for key in shared if not key.startswith("backbone.")):
            assert torch.equal(state[key], query[key]), key
    online = model.online.state_dict()
    assert all(torch.equal(online[key], query[key]) for key in shared if key.startswith("backbone."))


def test_the_backbone_stays_and_the_pyramid_and_head_go_on(stage_2: Config) -> None:
    model = pretrainer(stage_2)
    before = {key: value.clone() for key, value in model.online.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    data = model.data_preprocessor(batch(size=128), True)
    losses, _ = model.parse_losses(model(**data, mode="loss"))
    losses.backward()
    optimiser.step()
    after = model.online.state_dict()

    def moved(part: str, values: dict[str, Tensor] = after) -> set[bool]:
        weights = [key for key in values if key.startswith(part) and key.endswith("conv.weight")]
        return {not torch.equal(before[key], values[key]) for key in weights}

    assert all(torch.equal(before[key], after[key]) for key in after if key.startswith("backbone."))
    assert moved("neck.") == {True}
    assert moved("roi_head.bbox_head.shared_convs.") == {True}


def test_the_stages_agree_on_normalisation(tmp_path: Path) -> None:
    """Stage 1, the exported file, stage 2 and fine-tuning, FPN and C4: one mean, one deviation, one order."""
    stages: list[Any] = [
        load_config(STAGE_2),
        load_config(f"{ROOT}/configs/image_domain/insloc_r18_fpn_folder.py"),
    ]
    for name in ("image_domain/insloc_r50_fpn_200e_imagenet", "image_domain/insloc_r50_c4_200e_imagenet"):
        stages.append(load_config(f"{ROOT}/configs/{name}.py"))
    for path in sorted((ROOT / "configs" / "finetune").glob("insloc_*.py")):
        stages.append(load_config(str(path)))
    assert len(stages) == 11
    known = [normalisation_of(stage) for stage in stages]
    assert all(one is not None and one.same(known[0]) for one in known)
    finetune = small("mask-rcnn_r50_fpn_1x_coco")
    torch.save(
        {"meta": {"cfg": stages[2].pretty_text}, "state_dict": trained("fpn").state_dict()}, tmp_path / "x"
    )
    finetune.dump(tmp_path / "detector.py")
    argv = [str(tmp_path / "x"), str(tmp_path / "out.pth"), "--config", str(tmp_path / "detector.py")]
    assert export_tool(argv) == 0
    finetune.load_from = str(tmp_path / "out.pth")
    assert check_normalisation(finetune) == ["load_from"]


def test_precise_batch_norm_recomputes_the_statistics_of_a_detector() -> None:
    """The hook of the fine-tuning configs works on mmdet's detectors: statistics become those of the data."""
    from mmpretrain.engine.hooks.precise_bn_hook import update_bn_stats
    from torch.utils.data import DataLoader

    torch.manual_seed(0)
    cfg = small("mask-rcnn_r50_fpn_1x_coco")
    cfg.model.test_cfg.rpn.update(nms_pre=20, max_per_img=10)
    detector: Any = build_detector(cfg)
    detector.train()
    data = batch(images=4)
    items = [
        {"inputs": pixels, "data_samples": sample}
        for pixels, sample in zip(data["inputs"]["online"], data["data_samples"]["online"], strict=True)
    ]

    def collate(part: list[dict[str, Any]]) -> dict[str, list[Any]]:
        return {key: [item[key] for item in part] for key in part[0]}

    loader: DataLoader = DataLoader(items, batch_size=2, collate_fn=collate)  # type: ignore[arg-type]
    update_bn_stats(detector, loader, num_samples=4, logger="silent")
    stem: Any = detector.backbone.bn1
    pixels = torch.stack([detector.data_preprocessor(collate([item]))["inputs"][0] for item in items])
    with torch.no_grad():
        outputs = detector.backbone.conv1(pixels)
    torch.testing.assert_close(stem.running_mean, outputs.mean((0, 2, 3)), atol=1e-4, rtol=1e-3)
    assert stem.momentum == 0.1
    for head in (detector.roi_head.bbox_head.shared_convs, detector.neck.fpn_convs):
        assert head[0].bn.running_mean.abs().max() > 0
