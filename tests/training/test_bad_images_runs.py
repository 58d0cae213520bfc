"""Images that vanish in the middle of a run: it goes on, or saves, ends, and goes on exactly."""

import multiprocessing
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset

from aligndet.common.images.bad import TooManyBadError, limited_to
from aligndet.common.newest_checkpoint import newest_checkpoint
from aligndet.training.cpu import without_gpu
from tests.training import toy

COUNT = 12


def numbers(results: dict[str, Any]) -> torch.Tensor:
    """Stands for an augmentation: the grey value of an image, and noise."""
    return torch.full((4,), float(results["img"][0, 0, 0])) + float(np.random.rand())


class Pictures(BaseDataset):
    """Images of one grey value each."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        super().__init__(pipeline=[{"type": "mmcv.LoadImageFromFile"}, numbers])

    def load_data_list(self) -> list[dict[str, Any]]:
        return [{"img_path": f"{self.folder}/{number}.png"} for number in range(COUNT)]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(COUNT):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((8, 8, 3), number, np.uint8))
    return folder


def config(work: Path, images: Path, workers: int = 0, **length: int) -> Config:
    made = toy.config(work, workers=workers, interval=100, **length)
    made.train_dataloader.dataset = {"type": Pictures, "folder": str(images)}
    return made


def vanish(images: Path, count: int) -> Callable[[], None]:
    def do() -> None:
        for number in range(count):
            (images / f"{number}.png").unlink(missing_ok=True)

    return do


def newest(work: Path) -> Path:
    path = newest_checkpoint(work).path
    assert path is not None
    return path


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("length", [{"epochs": 2}, {"steps": 12}])
def test_too_many_end_the_run_saved_and_it_goes_on_exactly(
    images: Path, tmp_path: Path, length: dict[str, int], workers: int
) -> None:
    vanish(images, 4)()
    whole, work = tmp_path / "whole", tmp_path / "work"
    with limited_to(100):
        toy.runner(config(whole, images, **length)).train()
    message = r"of 12 images are bad, more than 10 %, such as .*\d.png \(no such file\); .*--max-bad; the "
    with (
        limited_to(10),
        pytest.raises(TooManyBadError, match=message + r"run goes on from .*work/stopped_at_\d+.pth"),
    ):
        toy.runner(config(work, images, workers, **length)).train()
    assert 0 < torch.load(newest(work), weights_only=False)["meta"]["iter"] < 12
    with limited_to(50):
        toy.runner(config(work, images, workers, **length), goes_on=True).train()
    assert toy.same(toy.weights(newest(whole)), toy.weights(newest(work)))


@pytest.mark.parametrize("length", [{"epochs": 2}, {"steps": 12}])
def test_all_vanish_and_what_was_done_is_saved(images: Path, tmp_path: Path, length: dict[str, int]) -> None:
    whole, work = tmp_path / "whole", tmp_path / "work"
    toy.runner(config(whole, images, **length)).train()
    kept = shutil.copytree(images, tmp_path / "kept")
    gone = toy.At(8, vanish(images, COUNT))
    message = r"12 of 12 images are bad, .*goes on from .*stopped_at_8.pth"
    with pytest.raises(TooManyBadError, match=message) as caught:
        toy.runner(config(work, images, **length), gone).train()
    assert len(str(caught.value).splitlines()) == 1
    shutil.copytree(kept, images, dirs_exist_ok=True)
    toy.runner(config(work, images, **length), goes_on=True).train()
    assert toy.same(toy.weights(newest(whole)), toy.weights(newest(work)))


def test_one_is_told_and_ends_nothing(
    images: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    vanish(images, 1)()
    runner = toy.runner(config(tmp_path / "work", images, workers=1, epochs=2))
    runner.train()
    assert runner.iter == 12
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning: ")]
    place = "another image takes its place (1 of 12 so far, at most 1)"
    assert said == [f"warning: {images}/0.png: no such file; {place}"]
    assert runner.message_hub.get_scalar("train/bad_images").current() == 1


def test_none_at_the_beginning_says_so(images: Path, tmp_path: Path) -> None:
    vanish(images, COUNT)()
    with pytest.raises(TooManyBadError, match=r"12 of 12 images are bad, .*; no step was made"):
        toy.runner(config(tmp_path / "work", images, steps=4)).train()


def one_of_two(rank: int, port: int, made: Config, told: Path) -> None:
    """Be one of two processes, each of which reads half of the images."""
    numbers = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ.update(numbers, MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    made.launcher = "pytorch"
    without_gpu(made)
    with pytest.raises(TooManyBadError) as caught:
        toy.runner(made).train()
    (told / f"{rank}.txt").write_text(str(caught.value))
    torch.distributed.destroy_process_group()
    os._exit(0)


def test_processes_count_together_and_end_at_the_same_step(images: Path, tmp_path: Path) -> None:
    vanish(images, 4)()
    made = config(tmp_path / "work", images, epochs=3)
    made.env_cfg = {"dist_cfg": {"backend": "gloo"}}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    with limited_to(25):  # three; neither process reads four in an epoch
        processes = [context.Process(target=one_of_two, args=(rank, port, made, tmp_path)) for rank in (0, 1)]
        for process in processes:
            process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    first, second = ((tmp_path / f"{rank}.txt").read_text() for rank in (0, 1))
    assert "4 of 12 images are bad" in first
    assert first.rpartition(" ")[2] == second.rpartition(" ")[2] == str(newest(tmp_path / "work"))
