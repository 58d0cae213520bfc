"""A training of nine numbers that needs no detector: seconds for everything around a run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch.utils.data import Dataset

from aligndet.common.files import write_text
from aligndet.training.runner import TrainingRunner, runner_of

#: Pixels' worth of weights, so that a checkpoint is larger than the files beside it.
SIZE = 20_000


class Numbers(Dataset):  # type: ignore[type-arg]
    """Eight images, nearly."""

    metainfo: ClassVar[dict[str, Any]] = {}

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.full((4,), float(index)) + torch.rand(4)

    def __len__(self) -> int:
        return 8


class Toy(BaseModel):
    """A layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, SIZE // 4)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        out = self.layer(torch.stack(list(inputs)) if isinstance(inputs, (list, tuple)) else inputs)
        return {"loss": out.square().mean()} if mode == "loss" else [out.mean()]

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, torch.Tensor]:
        loss = self.forward(data, mode="loss")["loss"]
        optim_wrapper.update_params(loss)
        return {"loss": loss.detach()}

    def val_step(self, data: Any) -> Any:
        return self.forward(data)


class Score(BaseMetric):
    """A measure that rises and falls."""

    calls = 0

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(1)

    def compute_metrics(self, results: Any) -> dict[str, float]:
        Score.calls += 1
        return {"score": [1.0, 3.0, 2.0, 4.0, 2.0, 5.0][(Score.calls - 1) % 6]}


class At(Hook):
    """Does something at a step."""

    def __init__(self, step: int, does: Callable[[], Any]) -> None:
        self.step, self.does = step, does

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter + 1 == self.step:
            self.does()


@HOOKS.register_module(name="tests.training.toy.Pauses")
class Pauses(Hook):
    """Waits before some steps until it is told to go on.

    ``paused_STEP_RANK``, with the process's number in it, says that it waits for ``go_STEP``.
    """

    def __init__(self, at: list[int]) -> None:
        self.at = at

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        step = runner.iter + 1
        if step in self.at:
            write_text(Path(runner.work_dir) / f"paused_{step}_{get_rank()}", str(os.getpid()))
            while not (Path(runner.work_dir) / f"go_{step}").exists():
                time.sleep(0.02)


def config(work_dir: Path, epochs: int = 0, steps: int = 0, workers: int = 0, **checkpoint: Any) -> Config:
    """A config of so many epochs of 4 steps, or of so many steps."""
    loop = {"by_epoch": True, "max_epochs": epochs} if epochs else {"by_epoch": False, "max_iters": steps}
    loader = {
        "batch_size": 2,
        "num_workers": workers,
        "sampler": {"type": "DefaultSampler" if epochs else "InfiniteSampler", "shuffle": True},
        "dataset": {"type": Numbers},
    }
    return Config(
        {
            "model": {"type": Toy},
            "work_dir": str(work_dir),
            "train_dataloader": loader,
            "train_cfg": {**loop},
            "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.01, "momentum": 0.9}},
            "param_scheduler": [{"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 20}],
            "default_hooks": {
                "checkpoint": {"type": "CheckpointHook", "by_epoch": bool(epochs), **checkpoint}
            },
            "default_scope": "mmengine",
            "log_level": "ERROR",
            "randomness": {"seed": 0},
            "experiment_name": work_dir.parent.name + work_dir.name,
        }
    )


def with_validation(made: Config, interval: int = 1) -> Config:
    """The same config, validated."""
    made.train_cfg.val_interval = interval
    made.val_dataloader = {
        "batch_size": 2,
        "dataset": {"type": Numbers},
        "sampler": {"type": "DefaultSampler"},
    }
    made.val_evaluator, made.val_cfg = {"type": Score}, {}
    return made


def runner(made: Config, *hooks: Hook, goes_on: bool = False, stock: bool = False) -> Any:
    """Build our runner of a config, or mmengine's, with further hooks."""
    Score.calls = 0
    built = Runner.from_cfg(made) if stock else runner_of(made, goes_on)
    assert stock or isinstance(built, TrainingRunner)
    for hook in hooks:
        built.register_hook(hook)
    return built


def weights(path: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a checkpoint's model and optimiser."""
    content = torch.load(path, weights_only=False)
    moments = content["optimizer"]["state"]
    named = {f"momentum.{key}": value["momentum_buffer"] for key, value in moments.items()}
    return {**content["state_dict"], **named}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether all tensors are equal, bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())
