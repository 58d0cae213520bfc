"""Every config loads, its model builds, and its comments are commands that exist."""

import re
from pathlib import Path

import pytest
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.training.run import load_config

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(p for p in (ROOT / "configs").rglob("*.py") if p.parent.name != "_base_")
BOX = [p for p in CONFIGS if p.parent.name == "box_domain"]
FINETUNE = [p for p in CONFIGS if p.parent.name == "finetune"]


def without_weights(config: ConfigDict) -> ConfigDict:
    """Nothing is downloaded."""
    config.backbone.init_cfg = None
    return config


@pytest.mark.parametrize("path", BOX, ids=lambda p: p.stem)
def test_pretraining_config(path: Path) -> None:
    config = load_config(str(path))
    init_default_scope("mmdet")
    without_weights(config.model.detector)
    arguments = {key: value for key, value in config.model.items() if key != "type"}
    model = BoxDomainPretrainer(**arguments)
    assert all(p.requires_grad for p in model.online_adapter.projectors.parameters())
    assert any(hook["type"] == "aligndet.MomentumHook" for hook in config.custom_hooks)
    pipeline = [step["type"] for step in config.train_dataloader.dataset.pipeline]
    names = [kind.rpartition(".")[2] for kind in pipeline]
    assert names.index("NumberProposals") < names.index("MultiBranch")


@pytest.mark.parametrize("path", FINETUNE, ids=lambda p: p.stem)
def test_finetune_config_is_stock_mmdet(path: Path) -> None:
    config = load_config(str(path))
    assert "aligndet" not in config.pretty_text.replace(str(ROOT), "")
    if config.load_from:
        assert config.load_from.startswith("work_dirs/")
    init_default_scope("mmdet")
    assert MODELS.build(without_weights(config.model)).with_neck is ("_c4_" not in path.stem)


@pytest.mark.parametrize("path", FINETUNE, ids=lambda p: p.stem)
def test_finetune_starts_from_its_pretraining(path: Path) -> None:
    """Same detector, same neck norm in both stages; InsLoc, a stage 1, has a neck of its own too."""
    loaded = load_config(str(path)).get("load_from")
    if not loaded:
        pytest.skip("the small config takes its start from the command line")
    name = Path(loaded).parent.name
    if name.startswith("insloc_r50"):
        stage_1 = load_config(str(ROOT / "configs" / "image_domain" / f"{name}.py"))
        ours, theirs = (cfg.model.get("neck") or {} for cfg in (stage_1, load_config(str(path))))
        same = ("in_channels", "out_channels", "norm_cfg")
        assert [ours.get(key) for key in same] == [theirs.get(key) for key in same]
        return
    stage_2 = load_config(str(ROOT / "configs" / "box_domain" / f"{name}.py"))
    assert stage_2.model.detector.neck == load_config(str(path)).model.neck


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_config_opens_with_its_command(path: Path) -> None:
    text = path.read_text()
    head = text[: text.index("_base_")]
    assert re.search(r"^(?:#\s+)?(?:aligndet|tools/\S+\.sh) \S", head, re.M), (
        "no command in the opening comment"
    )
    assert not [script for script in re.findall(r"tools/\S+\.\w+", head) if not (ROOT / script).is_file()]
    shown = re.findall(r"aligndet::(\S+\.py)", head)
    assert f"{path.parent.name}/{path.name}" in shown
    assert not [name for name in shown if not (ROOT / "configs" / name).is_file()]
