"""A run that is interrupted ends as one that is not, bit for bit, in every stage and kind of loop."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.config import Config

import aligndet  # noqa: F401
from aligndet.training.run import load_config
from tests.small import NARROW_INSLOC, tiny
from tests.training.exact import by_steps, differing

ROOT = Path(__file__).parents[2]
BASE = ROOT / "configs" / "_base_"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten images, upright and lying, each with three proposals."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    described, boxes = [], []
    for number in range(10):
        width, height = (64, 48) if number % 3 else (48, 64)
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 255, (height, width, 3), np.uint8))
        described.append({"id": number, "file_name": f"{number}.png", "width": width, "height": height})
        for x, y, side in rng.integers((0, 0, 16), (20, 20, 28), (3, 3)).tolist():
            box = {"bbox": [x, y, side, side], "area": side**2, "category_id": 1, "iscrowd": 0}
            boxes.append({"id": len(boxes) + 1, "image_id": number, **box})
    categories = [{"id": 1, "name": "proposal"}]
    Config({"images": described, "annotations": boxes, "categories": categories}).dump(
        folder.parent / "proposals.json"
    )
    return folder


@pytest.fixture
def box_domain(images: Path, tmp_path: Path) -> Config:
    """Pre-training of a small RetinaNet on random views, batches of one shape, 5 steps to an epoch."""
    stock = tmp_path / "detector.py"
    Config({"model": tiny()}).dump(stock)
    path = tmp_path / "pretrain.py"
    path.write_text(
        f"""
_base_ = ['{BASE}/two_views.py', '{BASE}/pretrain_1x.py']
model = dict(type='aligndet.BoxDomainPretrainer', detector='{stock}', adapter=dict(num_slots=16))
view = [
    dict(type='RandomChoiceResize', scales=[(64, 64), (96, 96)], keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomChoice', transforms=[[], [dict(type='mmdet.Color', min_mag=0.28)]]),
    dict(type='aligndet.PackView'),
]
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(
        ann_file='{images.parent}/proposals.json', data_prefix=dict(img='{images}'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='aligndet.LoadProposals'),
            dict(type='aligndet.SampleProposals', num=2),
            dict(type='aligndet.NumberProposals'),
            dict(type='mmdet.MultiBranch', branch_field=['online', 'momentum'], online=view, momentum=view),
        ]))
train_cfg = dict(max_epochs=2)
"""
    )
    return load_config(str(path))


def set_workers(config: Config, number: int = 2) -> None:
    config.train_dataloader.update(num_workers=number, persistent_workers=number > 0)


@pytest.mark.parametrize("breaks", [3, 5, 7])
def test_epochs_go_on_in_their_middle_with_other_workers(
    breaks: int, box_domain: Config, tmp_path: Path
) -> None:
    assert not differing(box_domain, tmp_path, 10, breaks, set_workers if breaks == 7 else None)


def test_steps_go_on_in_the_order_of_an_endless_sampler(box_domain: Config, tmp_path: Path) -> None:
    box_domain.train_dataloader.sampler = {"type": "InfiniteSampler", "shuffle": True}
    by_steps(box_domain, 9)
    assert not differing(box_domain, tmp_path, 9, 7)
