"""A small project on mmdet for tests: one config, changed at will, wrapped, written and read back."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from mmengine.config import Config

from aligndet.box_domain.recipe import Table, pretraining_config
from aligndet.common.config_text import config_text
from tests.box_domain.data.test_dataset import write
from tests.small import tiny

LOAD = {"type": "LoadImageFromFile"}
BOXES = {"type": "LoadAnnotations", "with_bbox": True}
RESIZE = {"type": "Resize", "scale": (128, 96), "keep_ratio": True}
FLIP = {"type": "RandomFlip", "prob": 0.5}
PACK = {"type": "PackDetInputs"}


def project(train: list[Any] | None = None, test: list[Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A config's content: its two pipelines, and keys at its top."""
    train = [LOAD, BOXES, RESIZE, FLIP, PACK] if train is None else train
    test = [LOAD, RESIZE, BOXES, PACK] if test is None else test
    content = {
        "default_scope": "mmdet",
        "model": tiny(),
        "train_dataloader": loader(train),
        "val_dataloader": loader(test),
        "test_dataloader": loader(test),
        "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 3},
        "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1}},
        "default_hooks": {"logger": {"type": "LoggerHook", "interval": 7}},
    }
    return copy.deepcopy({**content, **changes})


def loader(pipeline: Any, **options: Any) -> dict[str, Any]:
    """A data loader's config."""
    return {
        "batch_size": 2,
        "num_workers": 0,
        "dataset": {"type": "CocoDataset", "pipeline": pipeline},
        **options,
    }


def wrap(folder: Path, content: dict[str, Any] | Config) -> tuple[Config, dict[str, tuple[str, str]]]:
    """The pre-training config of a project, read back, and the rows of its table by key."""
    proposals = write(folder, [[4.0, 4, 30, 30], [30.0, 20, 28, 40]])
    stock = content if isinstance(content, Config) else Config(content)
    table = Table()
    config = pretraining_config(stock, str(proposals), str(folder / "images"), table)
    again = Config.fromstring(config_text(config), ".py")
    return again, {key: (what, because) for key, what, because in table.rows}


def view(config: Config, branch: str = "online") -> list[Any]:
    """The steps of one view."""
    steps: list[Any] = config.train_dataloader.dataset.pipeline[-1][branch]
    return steps


def types(steps: list[Any]) -> list[str]:
    """Their types without scopes."""
    return [str(getattr(step["type"], "__name__", step["type"])).rpartition(".")[2] for step in steps]
