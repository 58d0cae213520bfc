"""A run that is interrupted ends as one that is not, bit for bit, in every stage and kind of loop."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import DATA_SAMPLERS, METRICS, RUNNERS
from torch.utils.data import RandomSampler

import aligndet  # noqa: F401
from aligndet.training.run import build_runner, load_config
from aligndet.training.runner import runner_of
from tests.small import tiny
from tests.small_coco import make_coco
from tests.training.exact import by_steps, differing, entries, in_two_processes, run, unequal

ROOT = Path(__file__).parents[2]
BASE = ROOT / "configs" / "_base_"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten images, upright and lying, each with three proposals."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    described: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
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
    """The seed is that of the checkpoint, whatever the config says now."""
    box_domain.train_dataloader.sampler = {"type": "InfiniteSampler", "shuffle": True}
    box_domain.randomness = {"seed": 2}
    by_steps(box_domain, 9)
    set_workers(box_domain)
    assert not differing(box_domain, tmp_path, 9, 7, lambda config: config.randomness.update(seed=3))


@pytest.fixture
def fine_tuning(tmp_path: Path) -> Config:
    """A small RetinaNet on 8 labelled images, its weights averaged; the rate follows the validation."""
    labels = [str(make_coco(tmp_path, count, seed)) for seed, count in enumerate((8, 2))]
    keys = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
    pack = [{"type": "PackDetInputs", "meta_keys": keys}]
    pipeline = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_bbox": True},
        {"type": "Resize", "scale": (64, 64), "keep_ratio": True},
    ]
    flip = [*pipeline, {"type": "RandomFlip", "prob": 0.5}, *pack]
    data = {"type": "CocoDataset", "data_prefix": {"img": f"{tmp_path}/images"}}
    data["metainfo"] = {"classes": ("red", "green")}
    model = tiny()
    model.bbox_head.num_classes = 2
    config = {
        "default_scope": "mmdet",
        "model": model,
        "train_dataloader": {
            "batch_size": 2,
            "num_workers": 0,
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "dataset": {**data, "ann_file": labels[0], "pipeline": flip},
        },
        "val_dataloader": {
            "batch_size": 2,
            "num_workers": 0,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "dataset": {**data, "ann_file": labels[1], "pipeline": [*pipeline, *pack], "test_mode": True},
        },
        "val_evaluator": {"type": "NoBetter"},
        "val_cfg": {},
        "train_cfg": {"by_epoch": True, "max_epochs": 2},
        "optim_wrapper": {"optimizer": {"type": "AdamW", "lr": 0.001}},
        "param_scheduler": [
            {
                "type": "ReduceOnPlateauParamScheduler",
                "param_name": "lr",
                "monitor": "score",
                "rule": "greater",
                "patience": 0,
            }
        ],
        "custom_hooks": [{"type": "EMAHook"}],
        "randomness": {"seed": 3},
    }
    return Config(config)


def test_fine_tuning_goes_on_with_averages_and_an_order_that_asks_global_generators(
    fine_tuning: Config, tmp_path: Path
) -> None:
    """torch's RandomSampler draws from the global generator, of which a resumed run has another one."""
    fine_tuning.train_dataloader.sampler = {"type": "RandomOrder"}
    assert not differing(fine_tuning, tmp_path, 8, 6)


def test_fine_tuning_by_steps_validates_first(fine_tuning: Config, tmp_path: Path) -> None:
    """The checkpoint of step 6 is written before the validation that lowers the rate."""
    by_steps(fine_tuning, 8)
    fine_tuning.train_cfg.val_interval = 2
    assert not differing(fine_tuning, tmp_path, 8, 6)


def test_gradients_between_updates_and_what_modules_keep(fine_tuning: Config, tmp_path: Path) -> None:
    """Five steps make an update; image sizes change with the third step, and stay in Python."""
    fine_tuning.optim_wrapper.accumulative_counts = 5
    resize = {"type": "BatchSyncRandomResize", "random_size_range": (64, 160), "interval": 3}
    fine_tuning.model.data_preprocessor.batch_augments = [resize]
    assert not differing(fine_tuning, tmp_path, 8, 4)


def test_two_processes_go_on_in_the_middle_of_an_update(box_domain: Config, tmp_path: Path) -> None:
    """Of 3 steps to an epoch and 2 to an update, with gradients of each process that no other has."""
    box_domain.optim_wrapper.accumulative_counts = 2
    in_two_processes(box_domain, tmp_path / "whole")
    in_two_processes(box_domain, tmp_path / "resumed", tmp_path / "whole" / "iter_3.pth")
    assert not unequal(tmp_path / "whole" / "iter_6.pth", tmp_path / "resumed" / "iter_6.pth")
    held = entries(tmp_path / "whole" / "iter_3.pth")["of_processes"]
    name = next(iter(held[0]["gradients"]))
    assert not torch.equal(*(each["gradients"][name] for each in held))


def test_the_scale_of_mixed_precision_goes_on(
    fine_tuning: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses are scaled on a CPU, too; bfloat16 there differs from run to run and is left out."""
    module = "mmengine.optim.optimizer.amp_optimizer_wrapper"
    monkeypatch.setattr(f"{module}.is_cuda_available", lambda: True)
    monkeypatch.setattr(f"{module}.GradScaler", partial(torch.amp.GradScaler, "cpu"))
    monkeypatch.setattr("mmengine.runner.amp.autocast", lambda dtype: nullcontext())
    monkeypatch.setattr("aligndet.training.run.without_gpu", lambda config: None)
    fine_tuning.optim_wrapper.update(
        type="AmpOptimWrapper", loss_scale={"init_scale": 64.0, "growth_interval": 3}
    )
    assert not differing(fine_tuning, tmp_path, 8, 4)
    scaler = entries(tmp_path / "resumed" / "iter_8.pth")["optimizer"]["loss_scaler"]
    assert (scaler["scale"], scaler["_growth_tracker"]) == (256.0, 2), "doubled twice, once since the break"


def test_a_capped_run_goes_on_to_its_whole_length(box_domain: Config, tmp_path: Path) -> None:
    run(box_domain, tmp_path / "whole")
    run(box_domain, tmp_path / "capped", stop=3)
    run(box_domain, tmp_path / "resumed", tmp_path / "capped" / "iter_3.pth")
    assert not unequal(tmp_path / "whole" / "iter_10.pth", tmp_path / "resumed" / "iter_10.pth")


def test_the_number_of_a_batch_in_its_epoch(box_domain: Config, tmp_path: Path) -> None:
    run(box_domain, tmp_path / "whole", stop=3)
    box_domain.work_dir, box_domain.experiment_name = str(tmp_path / "on"), tmp_path.name
    runner = build_runner(box_domain, resume=str(tmp_path / "whole" / "iter_3.pth"))
    numbers: list[int] = []
    runner.register_hook(Numbers(numbers))
    runner.train()
    assert numbers == [3, 4, 0, 1, 2, 3, 4]


def test_what_is_not_exact_is_named(
    fine_tuning: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cached = {"type": "CachedMixUp", "img_scale": (64, 64), "max_cached_images": 4}
    fine_tuning.train_dataloader.dataset.pipeline.insert(2, cached)
    fine_tuning.work_dir, fine_tuning.experiment_name = str(tmp_path / "on"), tmp_path.name
    build_runner(fine_tuning)
    assert capsys.readouterr().err.count("not bit for bit") == 1


def test_a_runner_of_the_user_goes_on_as_before_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    runner_of(Config({"runner_type": "OfTheUser"}))
    assert "not bit for bit as without one: runner_type is OfTheUser" in capsys.readouterr().err


@RUNNERS.register_module()
class OfTheUser:
    """Runs in its own way."""

    @classmethod
    def from_cfg(cls, cfg: Config) -> "OfTheUser":
        return cls()

    def register_hook(self, hook: Hook) -> None:
        pass


class Numbers(Hook):
    """Keeps the number of every batch."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers

    def after_train_iter(
        self, runner: object, batch_idx: int, data_batch: object = None, outputs: object = None
    ) -> None:
        self.numbers.append(batch_idx)


@METRICS.register_module()
class NoBetter(BaseMetric):
    """Says after every validation that nothing was gained."""

    default_prefix = None

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += list(data_samples)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"score": 1.0}


@DATA_SAMPLERS.register_module()
class RandomOrder(RandomSampler):
    """torch's sampler as mmengine builds samplers."""

    def __init__(self, dataset: Any, seed: int | None = None) -> None:
        super().__init__(dataset)
        self.dataset = dataset
