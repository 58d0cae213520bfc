"""Stage 1 goes on in the middle of an epoch as without an interruption, queues and key networks too."""

import aligndet  # noqa: F401, I001  first: makes mmcv importable where it has no compiled ops

from pathlib import Path

import pytest
from mmengine.config import Config

from aligndet.training.run import load_config
from tests.image_domain.methods.insloc.test_training import CONFIG, options
from tests.image_domain.test_methods import tiny, write_images
from tests.training.exact import by_steps, differing, in_two_processes, run, unequal


@pytest.fixture
def images(tmp_path: Path) -> Path:
    write_images(tmp_path / "images", 12)
    return tmp_path / "images"


def method(name: str, images: Path, work: Path) -> Config:
    """Two epochs of 3 or 4 steps; SwAV has a queue from the first one on."""
    config = tiny(name, images, work)
    config.train_cfg.max_epochs = 2
    for hook in config.get("custom_hooks", []):
        if hook["type"] == "SwAVHook":
            hook.update(epoch_queue_starts=0, queue_length=8)
    return config


@pytest.mark.parametrize("name", ["simsiam_r18", "swav_r18", "mocov2_r18", "mae_vit-s"])
def test_methods_go_on_exactly(name: str, images: Path, tmp_path: Path) -> None:
    assert not differing(method(name, images, tmp_path), tmp_path, 6, 4)


def test_simsiam_goes_on_exactly_by_steps_and_with_workers(images: Path, tmp_path: Path) -> None:
    config = method("simsiam_r18", images, tmp_path)
    config.train_dataloader.sampler = {"type": "InfiniteSampler", "shuffle": True}
    by_steps(config, 5)
    loader = {"num_workers": 2, "persistent_workers": True}
    assert not differing(config, tmp_path, 5, 3, lambda other: other.train_dataloader.update(loader))


def test_insloc_goes_on_exactly_with_queue_shuffle_and_accumulation(images: Path, tmp_path: Path) -> None:
    config = load_config(CONFIG, {**options(images, 2), "model.shuffle_groups": 2})
    config.optim_wrapper.accumulative_counts = 2
    run(config, tmp_path / "whole")
    for breaks in (3, 4):  # in the middle of an update, and behind it
        work = tmp_path / f"from_{breaks}"
        run(config, work, tmp_path / "whole" / f"iter_{breaks}.pth")
        assert not unequal(tmp_path / "whole" / "iter_6.pth", work / "iter_6.pth")


def test_insloc_goes_on_exactly_on_two_processes(images: Path, tmp_path: Path) -> None:
    """Keys are shuffled over the processes, and the queue takes those of both."""
    config = load_config(CONFIG, {**options(images, 2), "train_dataloader.batch_size": 2})
    in_two_processes(config, tmp_path / "whole")
    in_two_processes(config, tmp_path / "resumed", tmp_path / "whole" / "iter_4.pth")
    assert not unequal(tmp_path / "whole" / "iter_6.pth", tmp_path / "resumed" / "iter_6.pth")
