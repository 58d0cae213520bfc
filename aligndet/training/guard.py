"""Make the steps of an optimiser of finite numbers only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.optim import ApexOptimWrapper, OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from aligndet.training.kept import Kept

#: What can be not finite.
LOSS, STATE, GRADIENT = "loss", "state", "gradient"


class Verdict(Enum):
    """Says what became of a step of the optimiser."""

    APPLIED = "applied"
    DROPPED = "dropped"
    OVERFLOW = "left out by the loss scaler, which lowers its scale"


class Guard:
    """Watches the optimiser wrappers of a run: a step is made where loss, gradients and buffers are finite.

    Processes agree, by one number that they exchange for each step, and which is the only one that is waited
    for. The wrappers stay who they are, of whatever class; one that goes past its own ``step`` is watched at
    its optimiser.

    Args:
        model: whose state :attr:`kept` keeps.
        wrapper: mmengine's, a user's, or several in a dictionary.

    Attributes:
        kept: what a forward pass changes.
        verdicts: one for each step that the optimisers were asked for in this batch.
        poisoned: a batch since the last step was not finite, so that the gathered gradients are not.
        cause: what was not finite in this batch, in words.
    """

    def __init__(self, model: nn.Module, wrapper: Any) -> None:
        self.kept = Kept(model)
        self.verdicts: list[Verdict] = []
        self.poisoned = False
        self.cause = ""
        self._losses: list[Tensor] = []
        self._inside = False
        for one in wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]:
            self._watch(one)

    def begin(self) -> None:
        """Begin a batch."""
        self.kept.keep()
        self._losses.clear()
        self.verdicts.clear()
        self.cause = ""

    def end(self) -> bool:
        """End a batch, putting back what it left if it was bad.

        Returns:
            True where it was: no step was made of it, and none will be.
        """
        if not self.verdicts:  # its gradients are gathered for a later step
            self.poisoned |= self._fault([]) != ""
            bad = bool(self.cause)
        else:
            bad = Verdict.DROPPED in self.verdicts
            self.poisoned = False
        if bad:
            self.kept.put_back()
        return bad

    def no_loss(self, wrapper: Any) -> None:
        """Count a batch without a loss, for what the model gave was not finite, as one of a bad loss."""
        self.cause = LOSS
        if isinstance(wrapper, OptimWrapper):
            wrapper._inner_count += 1
        if wrapper.should_update():
            wrapper.zero_grad()
            self.verdicts.append(Verdict.DROPPED)
        else:
            self.poisoned = True

    def _watch(self, wrapper: Any) -> None:
        """Have the losses that a wrapper is given, its steps, and those of its optimiser go through here."""
        step = wrapper.step

        def noted(take: Callable[..., None]) -> Callable[..., None]:
            def with_loss(loss: Tensor, *arguments: Any, **options: Any) -> None:
                self._losses.append(loss.detach())
                take(loss, *arguments, **options)

            return with_loss

        def watched_step(**options: Any) -> None:
            verdict = self._judge(wrapper)
            if verdict is Verdict.DROPPED:
                wrapper.zero_grad()
                return
            self._inside = True
            try:
                step(**options)
            finally:
                self._inside = False

        def before_optimiser(optimiser: Any, args: Any, options: Any) -> None:
            if not self._inside and self._judge(wrapper) is not Verdict.APPLIED:
                optimiser.zero_grad(set_to_none=True)  # nothing to step with

        wrapper.update_params, wrapper.backward = noted(wrapper.update_params), noted(wrapper.backward)
        wrapper.step = watched_step
        optimiser = getattr(wrapper, "optimizer", None)
        if isinstance(optimiser, torch.optim.Optimizer):
            optimiser.register_step_pre_hook(before_optimiser)

    def _judge(self, wrapper: Any) -> Verdict:
        fault = self._fault(gradients_of(wrapper))
        if fault == GRADIENT and not self.poisoned and _scale_can_fall(wrapper):
            verdict = Verdict.OVERFLOW
        else:
            verdict = Verdict.DROPPED if fault or self.poisoned else Verdict.APPLIED
        if fault == GRADIENT and self.poisoned:
            self.cause = ""  # it is the gradient of the batch before
        self.verdicts.append(verdict)
        return verdict

    def _fault(self, gradients: list[Tensor]) -> str:
        """Say what is not finite in any process: loss, state of the model, or gradient; else empty."""
        groups = {LOSS: self._losses, STATE: self.kept.floats(), GRADIENT: gradients}
        device = next((value.device for group in groups.values() for value in group), torch.device("cpu"))
        flags = torch.stack([_overflows(group, device) for group in groups.values()])
        all_reduce(flags, op="max")
        if not bool(flags.any()):  # the one wait
            return ""
        exact = torch.tensor(
            [any(not bool(value.isfinite().all()) for value in group) for group in groups.values()]
        ).to(flags)
        all_reduce(exact, op="max")
        self.cause = next((name for name, bad in zip(groups, exact.tolist(), strict=True) if bad), "")
        return self.cause


def _overflows(tensors: Iterable[Tensor], device: torch.device) -> Tensor:
    """0. where the length of every tensor is finite, so that all of its values are; else 1., and they may be.

    A length is several times cheaper than a look at every value.
    """
    alike = defaultdict(list)
    for value in tensors:
        if value.numel():
            alike[value.device, value.dtype].append(value)
    if not alike:
        return torch.zeros((), device=device)
    lengths = [torch.stack(torch._foreach_norm(group, 2)).to(device) for group in alike.values()]
    return 1 - torch.cat([length.float() for length in lengths]).isfinite().all().float()


def gradients_of(wrapper: Any) -> list[Tensor]:
    """List the gradients that an optimiser wrapper would step with."""
    groups = getattr(getattr(wrapper, "optimizer", None), "param_groups", ())
    found = [p.grad for group in groups for p in group["params"] if getattr(p, "grad", None) is not None]
    return [value.coalesce().values() if value.is_sparse else value for value in found]


def _scale_can_fall(wrapper: Any) -> bool:
    """Whether a loss scaler leaves such a step out by itself, and can still mend it by a lower scale."""
    if isinstance(wrapper, ApexOptimWrapper):  # whose scaler works out of sight
        return True
    scaler = getattr(wrapper, "loss_scaler", None)
    fixed = getattr(wrapper, "_scale_update_param", None) is not None
    return scaler is not None and scaler.is_enabled() and not fixed and scaler.get_scale() > 1
