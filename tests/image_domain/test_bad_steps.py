"""A step of stage 1 that is not finite moves neither weights, statistics, key network nor queue."""

import aligndet  # noqa: F401, I001  first: makes mmcv importable where it has no compiled ops

from pathlib import Path

import pytest
from mmengine.config import Config

from aligndet.training.run import load_config
from tests.image_domain.methods.insloc.test_training import CONFIG, options
from tests.image_domain.test_methods import tiny, write_images
from tests.training.exact import differing, run
from tests.training.poison import moved, not_finite_in


def check(config: Config, work: Path) -> list[str]:
    """Train three steps, the second of them bad; what a good one moves."""
    config.custom_hooks = [*config.get("custom_hooks", []), {"type": "Poison", "steps": [2]}]
    run(config, work)
    assert moved(work, 1, 2) == []
    assert not_finite_in(work / "iter_3.pth") == []
    return moved(work, 2, 3)


@pytest.mark.parametrize("name", ["simsiam_r18", "mocov2_r18", "mocov3_r18", "densecl_r18"])
def test_a_bad_step_moves_nothing(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(tmp_path / "images", 12)
    names = check(tiny(name, tmp_path / "images", tmp_path), tmp_path / "work")
    assert f", images {tmp_path}/images/" in capsys.readouterr().err
    assert any("running_mean" in name for name in names)
    if name != "simsiam_r18":
        key_network = "momentum_encoder" if name == "mocov3_r18" else "encoder_k"
        assert any(key_network in name for name in names)
    if name in ("mocov2_r18", "densecl_r18"):
        assert any("queue" in name for name in names)


def test_a_bad_step_of_insloc_moves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(tmp_path / "images", 12)
    names = check(load_config(CONFIG, options(tmp_path / "images", 1)), tmp_path / "work")
    assert f", images {tmp_path}/images/" in capsys.readouterr().err
    for part in ("encoder_q", "encoder_k", "queue.keys", "queue.position", "/optimizer/state/"):
        assert any(part in name for name in names), part


def test_a_run_resumed_behind_a_bad_batch_ends_as_one_without_a_break(tmp_path: Path) -> None:
    """The bad batch is the first of an update's two; the second one comes after the break."""
    write_images(tmp_path / "images", 12)
    config = load_config(CONFIG, options(tmp_path / "images", 2))
    config.optim_wrapper.accumulative_counts = 2
    config.custom_hooks = [*config.get("custom_hooks", []), {"type": "Poison", "steps": [3]}]
    assert not differing(config, tmp_path, 6, 3)
    assert not [name for name in moved(tmp_path / "whole", 2, 4) if "encoder_q.backbone.conv1" in name]
    assert [name for name in moved(tmp_path / "resumed", 4, 6) if "encoder_q.backbone.conv1" in name]
