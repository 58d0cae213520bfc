"""What modules and hooks keep in Python goes into the checkpoint as plain data, and comes back."""

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.hooks import EarlyStoppingHook
from torch import nn

from aligndet.training.held import gather, own, restore, restore_hooks


class DynamicRoIHead(nn.Module):
    """What mmdet's keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.bbox_head = SimpleNamespace(loss_bbox=SimpleNamespace(beta=1.0))
        self.bbox_assigner = SimpleNamespace(pos_iou_thr=0.5, neg_iou_thr=0.5)
        self.iou_history: list[Any] = []
        self.beta_history: list[Any] = []


class SwAVLoss(nn.Module):
    """What mmpretrain's keeps."""

    queue: torch.Tensor | None = None


def run() -> Any:
    model = nn.ModuleDict({"roi_head": DynamicRoIHead(), "loss": SwAVLoss()})
    hooks = [EarlyStoppingHook("score", rule="greater")]
    optim_wrapper = SimpleNamespace(_accumulative_counts=1, should_update=lambda: True)
    return SimpleNamespace(model=model, hooks=hooks, optim_wrapper=optim_wrapper)


def test_what_is_kept_comes_back_from_a_file_of_plain_data() -> None:
    before: Any = run()
    head = before.model.roi_head
    head.iou_history = [np.float64(0.25), 0.5]
    head.bbox_assigner.pos_iou_thr = np.float64(0.625)
    head.bbox_head.loss_bbox.beta = np.float64(0.125)
    before.model.loss.queue = torch.ones(2, 3)
    before.hooks[0].wait_count = 4
    file = io.BytesIO()
    torch.save(gather(before), file)
    file.seek(0)
    after: Any = run()
    mine = own(torch.load(file, weights_only=True))
    restore_hooks(after, mine)
    restore(after, mine)
    assert after.model.roi_head.iou_history == [0.25, 0.5]
    assert after.model.roi_head.bbox_assigner.pos_iou_thr == 0.625
    assert after.model.roi_head.bbox_head.loss_bbox.beta == 0.125
    assert torch.equal(after.model.loss.queue, torch.ones(2, 3))
    assert after.hooks[0].wait_count == 4


def test_most_runs_hold_nothing() -> None:
    plain: Any = run()
    plain.model, plain.hooks = nn.Linear(1, 1), []
    assert gather(plain) is None


def test_another_number_of_processes_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    kept = gather(run())
    assert kept is not None
    assert not any(own([*kept, *kept]).values())
    assert "of a run on 2 processes, this one has 1" in capsys.readouterr().err
