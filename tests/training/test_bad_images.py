"""Bad images of a training: replaced by position alone, told by the main process, and its end where many."""

import copy
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, ConcatDataset
from mmengine.registry import TRANSFORMS
from torch.utils.data import DataLoader

from aligndet.common.images.bad import TooManyBadError
from aligndet.training.bad_images import Watch, leaves, replace_bad_images


@TRANSFORMS.register_module(force=True)
class Drawn:
    """Adds a random number, as an augmentation would."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        return {**results, "drawn": float(np.random.rand())}


@TRANSFORMS.register_module(force=True)
class DrawsAndLoads(TRANSFORMS.get("mmcv.LoadImageFromFile")):  # type: ignore[misc]
    """Stands for a loader of a user's that draws before it fails."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        np.random.rand()
        return super().transform(results)  # type: ignore[no-any-return]


class Plain(BaseDataset):
    """Stands for a data set of a user's: paths and sizes."""

    def __init__(self, files: list[Path], size: int = 8, **options: Any) -> None:
        self.files, self.size = files, size
        pipeline = [{"type": "LoadImageFromFile"}, Drawn()]
        super().__init__(pipeline=options.pop("pipeline", pipeline), **options)

    def load_data_list(self) -> list[dict[str, Any]]:
        return [{"img_path": str(file), "width": self.size, "height": self.size} for file in self.files]


def images(folder: Path, count: int) -> list[Path]:
    files = [folder / f"{number}.png" for number in range(count)]
    for number, file in enumerate(files):
        cv2.imwrite(str(file), np.full((8, 8, 3), number, np.uint8))
    return files


def spoil(files: list[Path]) -> dict[int, str]:
    """Make the first four images bad, each in a way of its own; the reasons."""
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:-20])
    files[2].write_bytes(b"")
    cv2.imwrite(str(files[3]), np.zeros((9, 8, 3), np.uint8))
    return {
        0: "no such file",
        1: "OpenCV cannot decode it",
        2: "file is empty",
        3: "is 8x9 px, but 8x8 are recorded",
    }


def item(dataset: Any, index: int, seed: int) -> tuple[int, float]:
    np.random.seed(seed)
    taken = dataset[index]
    return int(taken["img"][0, 0, 0]), taken["drawn"]


@pytest.mark.parametrize("workers", [0, 1])
def test_the_main_process_tells_what_its_workers_met(
    tmp_path: Path, workers: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = images(tmp_path, 12)
    reasons = spoil(files)
    first, second = Plain(files[:6]), Plain(files[6:])
    dataset = ConcatDataset([first, second])
    replace_bad_images(dataset)
    monkeypatch.setenv("ALIGNDET_MAX_BAD", "20")
    watch = Watch(dataset)
    list(DataLoader(dataset, batch_size=3, num_workers=workers, collate_fn=list))
    found = watch.look()
    watch.look()
    assert (found.count, found.most, found.images) == (4, 3, 12)
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert told == [
        f"warning: {files[number]}: {reason}; another image takes its place "
        f"({number + 1} of 12 so far, at most 3)"
        for number, reason in reasons.items()
    ]
    with pytest.raises(TooManyBadError, match=r"4 of 12 images are bad, more than 20 %, such as .*0.png"):
        found.refuse_many("")


def test_which_image_takes_the_place_depends_on_the_seed_and_not_on_what_was_met(tmp_path: Path) -> None:
    files = images(tmp_path, 12)
    spoil(files)
    draws = [{"type": "DrawsAndLoads"}, Drawn()]
    one, other = Plain(files, pipeline=draws), Plain(files, pipeline=draws)
    for dataset in (one, other):
        replace_bad_images(dataset)
    first = [item(one, 3, seed) for seed in range(20)]  # the other meets each in another order
    list(map(other.__getitem__, range(12)))
    assert [item(other, 3, seed) for seed in range(20)] == first
    assert {number for number, _ in first} <= set(range(4, 12))
    assert len(set(first)) > 5


def test_a_data_set_stays_what_it_was_and_is_copied_and_sent_to_workers(tmp_path: Path) -> None:
    files = images(tmp_path, 4)
    files[0].unlink()
    dataset = Plain(files)
    replace_bad_images(dataset)
    replace_bad_images(dataset)
    assert isinstance(dataset, Plain)
    assert type(dataset).__name__ == "Plain"
    for made in (copy.deepcopy(dataset), pickle.loads(pickle.dumps(dataset))):
        assert item(made, 0, 0) == item(dataset, 0, 0)
        assert made.bad_images.marks(made).tolist() == [True, False, False, False]
    assert [type(leaf).__name__ for leaf in leaves(dataset)] == ["Plain"]


def test_frames_of_videos_go_through_as_they_are(tmp_path: Path) -> None:
    class Frames(Plain):
        def prepare_data(self, idx: Any) -> Any:
            return idx

    dataset = Frames(images(tmp_path, 2))
    replace_bad_images(dataset)
    assert dataset[(1, 0)] == (1, 0)


def test_a_fault_of_the_pipeline_is_none_of_the_image(tmp_path: Path) -> None:
    dataset = Plain(
        images(tmp_path, 2), pipeline=[{"type": "LoadImageFromFile"}, lambda one: one["misspelt"]]
    )
    replace_bad_images(dataset)
    with pytest.raises(KeyError, match="misspelt"):
        dataset[0]


def test_where_every_image_is_bad_the_data_set_says_so_at_once(tmp_path: Path) -> None:
    files = images(tmp_path, 3)
    dataset = Plain(files)
    replace_bad_images(dataset)
    for file in files:
        file.unlink()
    with pytest.raises(TooManyBadError, match="no image can be used in place of"):
        dataset[0]
    assert bool(torch.all(dataset.bad_images.marks(dataset)))


def test_a_bad_image_of_a_test_is_a_black_one_of_its_size(tmp_path: Path) -> None:
    files = images(tmp_path, 6)
    spoil(files)
    dataset = Plain(files, test_mode=True)
    replace_bad_images(dataset)
    taken = [dataset[number] for number in range(6)]
    assert [int(one["img"].max()) for one in taken] == [0, 0, 0, 0, 4, 5]
    assert all(one["ori_shape"] == (8, 8) for one in taken)
    assert dataset.bad_images.marks(dataset).tolist() == [True] * 4 + [False] * 2
