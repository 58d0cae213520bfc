"""Watches the steps of a training run, and says what must hold after them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.momentum import unwrapped
from aligndet.box_domain.slots import Slots
from aligndet.checking.conditions import Gradients, check_losses, check_steps, check_still, require
from aligndet.checking.row import Row

#: Steps of a check: what the first one changes, the second one meets.
STEPS = 2


class Watch(Hook):
    """Notes losses, slots and gradients of every step.

    Args:
        row: gets the adapter, and of the first step the losses and the online view's slots and positives.
    """

    priority = "VERY_LOW"

    def __init__(self, row: Row) -> None:
        self.row = row
        self.gradients = Gradients()
        self.slots: list[Slots] = []
        self.contrasts: list[float] = []
        self.backbone: dict[str, Tensor] = {}

    def before_train(self, runner: Runner) -> None:
        """Copy the backbone, and look at the slots and the gradients from now on."""
        model = pretrainer_of(runner)
        self.row.adapter = type(model.online_adapter).__name__
        self.backbone = {key: value.clone() for key, value in model.online.backbone.state_dict().items()}
        model.online_adapter.register_forward_hook(lambda _, __, result: self.slots.append(result[0]))
        for optimiser in optimisers(runner.optim_wrapper):
            optimiser.register_step_pre_hook(lambda *_: self.gradients.see(model))

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Check the losses; gradients that are accumulated are there yet, for no optimiser has stepped."""
        model = pretrainer_of(runner)
        self.gradients.see(model)
        slots = self.slots[-1]
        contrast, losses = check_losses({k: float(v) for k, v in outputs.items()})
        self.gradients.check(model)
        self.contrasts.append(contrast)
        if len(self.contrasts) == 1:
            self.row.slots, self.row.positives = len(slots), positives_of(slots)
            self.row.contrast, self.row.losses = contrast, losses

    def check(self, runner: Runner, strict: bool) -> None:
        """Check what must hold of all steps together.

        Args:
            runner: which has trained.
            strict: a tensor without a gradient is a fault; else it is noted in the row, for training goes on
                without.

        Raises:
            CheckError: a condition does not hold.
        """
        model = pretrainer_of(runner)
        require(len(self.contrasts) == STEPS, f"training ended after {len(self.contrasts)} of {STEPS} steps")
        check_steps([positives_of(slots) for slots in self.slots], self.contrasts)
        self.row.note = self.gradients.missed(model)
        require(not (strict and self.row.note), self.row.note)
        check_still(self.backbone, model.online.backbone)


def pretrainer_of(runner: Runner) -> BoxDomainPretrainer:
    """The pre-trainer that a runner trains."""
    model: BoxDomainPretrainer = unwrapped(runner.model)
    return model


def positives_of(slots: Slots) -> int:
    """Slots that belong to an instance."""
    return int((slots.ids >= 0).sum())


def optimisers(wrapper: Any) -> Iterator[Any]:
    """The optimisers in a wrapper, or in several."""
    if isinstance(wrapper, OptimWrapperDict):
        for one in wrapper.values():
            yield from optimisers(one)
    else:
        yield wrapper.optimizer
