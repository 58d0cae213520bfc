"""The data set of InsLoc: nested folders, backgrounds, bad files, and its whole pipeline."""

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, init_default_scope
from torch.utils.data import DataLoader

from aligndet.common.images.bad import TooManyBadError
from aligndet.image_domain.methods.insloc import CompositeFolder
from aligndet.training.run import load_config

ROOT = Path(__file__).parents[4]
CONFIG = ROOT / "configs" / "image_domain" / "insloc_r50_fpn_200e_imagenet.py"


def write_images(folder: Path, count: int = 8) -> Path:
    """Images of one grey value each (10, 20, ...), in nested folders and of mixed sizes."""
    for number in range(count):
        path = folder / f"part{number % 2}" / f"{number % 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = (40 + 7 * number, 60, 3)
        cv2.imwrite(str(path), np.full(size, 10 * (number + 1), np.uint8))
    return folder


def grey(image: np.ndarray) -> int:
    assert (image == image[0, 0]).all()
    return int(image[0, 0, 0])


def raw(folder: Path, **options: Any) -> CompositeFolder:
    return CompositeFolder(str(folder), pipeline=[], **options)


def test_items_have_the_image_and_backgrounds_from_the_whole_set(tmp_path: Path) -> None:
    dataset = raw(write_images(tmp_path))
    assert len(dataset) == 8
    np.random.seed(0)
    items = [dataset[number] for number in range(8) for _ in range(40)]
    assert {grey(item["img"]) for item in items} == set(range(10, 90, 10))
    assert all(grey(item["img"]) == 10 * (int(Path(item["img_path"]).stem) + 1) for item in items)
    drawn = Counter(grey(background) for item in items for background in item["backgrounds"])
    assert sum(drawn.values()) == 8 * 40 * 2
    assert min(drawn.values()) > 50  # uniform would be 80 of each
    assert max(drawn.values()) < 115


def test_the_imagenet_layout_is_read_from_its_train_folder(tmp_path: Path) -> None:
    write_images(tmp_path / "train", 3)
    write_images(tmp_path / "val", 5)
    assert len(raw(tmp_path)) == 3


def test_bad_images_are_replaced_and_counted_once(tmp_path: Path) -> None:
    write_images(tmp_path, 4)
    (tmp_path / "broken.jpg").write_bytes(b"not an image")
    (tmp_path / "empty.png").touch()
    dataset = raw(tmp_path)
    np.random.seed(0)
    for _ in range(10):
        for number in range(len(dataset)):
            item = dataset[number]
            assert grey(item["img"]) in range(10, 50, 10)
            assert all(grey(background) in range(10, 50, 10) for background in item["backgrounds"])
    assert int(dataset.bad_images.marks(dataset).sum()) == 2


def test_no_readable_image_at_all_is_an_error(tmp_path: Path) -> None:
    write_images(tmp_path, 1)
    (tmp_path / "broken.jpg").write_bytes(b"not an image")
    dataset = raw(tmp_path)
    dataset.bad_images.marks(dataset)[:] = True
    with pytest.raises(TooManyBadError, match="no image can be read"):
        dataset._any_image()


def test_workers_mark_what_this_process_reads(tmp_path: Path) -> None:
    write_images(tmp_path, 4)
    (tmp_path / "empty.png").touch()
    dataset = raw(tmp_path)
    dataset.bad_images.share(dataset)
    loader: DataLoader = DataLoader(dataset, batch_size=5, num_workers=1, collate_fn=list)
    assert len(next(iter(loader))) == 5
    marked = dataset.bad_images.marks(dataset).nonzero().flatten().tolist()
    assert marked == [0], "found in the worker, known here"
    assert dataset.bad_images.reason(dataset, 0) == "file is empty"


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> CompositeFolder:
    """The data set of the shipped config, on a folder."""
    folder = write_images(tmp_path_factory.mktemp("images"))
    config = load_config(str(CONFIG), {"train_dataloader.dataset.data_root": str(folder)})
    init_default_scope("mmdet")
    return DATASETS.build(config.train_dataloader.dataset)


def views(dataset: CompositeFolder, seed: int) -> dict[str, Any]:
    np.random.seed(seed)
    return dataset[0]


def test_the_shipped_pipeline_gives_two_views_with_one_box_each(shipped: CompositeFolder) -> None:
    item = views(shipped, seed=0)
    for view in ("query", "key"):
        assert item["inputs"][view].shape == (3, 256, 256)
        assert item["inputs"][view].dtype == torch.uint8
        assert item["data_samples"][view].gt_instances.bboxes.tensor.shape == (1, 4)
    query, key = (item["data_samples"][view].gt_instances.bboxes.tensor for view in ("query", "key"))
    assert not torch.equal(query, key), "the two crops are drawn apart"


def test_the_shipped_pipeline_repeats_with_its_seed(shipped: CompositeFolder) -> None:
    first, again, other = (views(shipped, seed) for seed in (0, 0, 1))
    for view in ("query", "key"):
        assert torch.equal(first["inputs"][view], again["inputs"][view])
        assert not torch.equal(first["inputs"][view], other["inputs"][view])


def test_boxes_follow_the_flip_of_the_shipped_pipeline(shipped: CompositeFolder) -> None:
    """One grey per image: whatever the colours become, the box holds one colour and its outside another."""
    flipped = 0
    for seed in range(12):
        item = views(shipped, seed)
        for view in ("query", "key"):
            sample = item["data_samples"][view]
            left, top, right, bottom = sample.gt_instances.bboxes.tensor[0].int().tolist()
            image = item["inputs"][view].float()
            inside = image[:, top + 8 : bottom - 8, left + 8 : right - 8]  # blur reaches over the border
            assert inside.flatten(1).std(1).max() < 1.5, (seed, view)
            flipped += bool(sample.metainfo["flip"])
    assert 4 <= flipped <= 20
