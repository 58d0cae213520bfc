"""A loss or gradient that is not finite is never applied, and a run that gives nothing else is ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_gather_object, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from aligndet.common.finite import STEP_APPLIED, not_finite, refuse_not_finite
from aligndet.common.newest_checkpoint import noted_checkpoint
from aligndet.common.notices import warn
from aligndet.training.guard import GRADIENT, LOSS, Guard, Verdict

#: Steps in a row that may be not finite before a run is ended.
PATIENCE = 3
#: Images that a message names, at most.
MOST_NAMES = 8
#: Key of the message hub: what a resumed run must know.
_KEY = "not_finite"
#: What scipy's linear_sum_assignment says of a matrix with NaN or infinity.
_UNMATCHED = ("invalid numeric entries", "cost matrix is infeasible")


class DivergedError(RuntimeError):
    """Says that a training gives no finite numbers any more, so that going on is pointless."""


class FiniteHook(Hook):
    """Leaves out every step whose loss or gradient is not finite, and ends the run after several in a row.

    Such a step leaves no trace: weights, statistics of norms, queues, and averages that the model moves by
    itself, are what they were before. One that a loss scaler of mixed precision leaves out, in order to lower
    its scale, is no fault. Weights that are not finite (a finite gradient times a huge rate) are never
    written into a checkpoint.

    Args:
        patience: so many steps in a row end the run.
    """

    priority = "HIGH"  # behind what puts a resumed run where it was, before all that follows the weights

    def __init__(self, patience: int = PATIENCE) -> None:
        self.patience = patience
        self._in_a_row = 0
        self._trouble = ""

    def before_train(self, runner: Any) -> None:
        """Refuse weights that are not finite, and have the optimiser watched.

        Raises:
            InputError: names the tensor.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        file = getattr(runner, "_load_from", None)
        if runner.iter and not file:
            file = noted_checkpoint(Path(runner.work_dir))
        where = f"the weights that training starts from{f' ({file})' if file else ''}"
        tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        refuse_not_finite(tensors, where, "give other weights, or an earlier checkpoint")
        self._guard = Guard(model, runner.optim_wrapper)
        runner.model.train_step = self._without_matching(runner.model.train_step)
        before = runner.message_hub.get_info(_KEY, {}) if runner.iter else {}
        self._in_a_row = before.get("in_a_row", 0)
        self._guard.poisoned = before.get("poisoned", False)

    def _without_matching(self, train_step: Callable[..., Any]) -> Callable[..., Any]:
        """Give a loss of NaN where scipy refuses to match predictions that are not finite (DETR's heads)."""

        def step(data: Any, optim_wrapper: Any) -> Any:
            try:
                return train_step(data, optim_wrapper=optim_wrapper)
            except ValueError as error:
                if get_world_size() > 1 or not any(text in str(error) for text in _UNMATCHED):
                    raise
                self._guard.no_loss(optim_wrapper)
                return {"loss": torch.tensor(math.nan)}

        return step

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Keep what the step may have to put back."""
        self._guard.begin()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Count, tell, and end the run where patience is at its end.

        Raises:
            DivergedError: on every process alike.
        """
        guard = self._guard
        bad = guard.end()
        if Verdict.DROPPED in guard.verdicts:
            self._in_a_row += 1
        elif Verdict.APPLIED in guard.verdicts:
            self._in_a_row = 0
        applied = not bad and all(verdict is Verdict.APPLIED for verdict in guard.verdicts)
        runner.message_hub.update_info(STEP_APPLIED, applied)
        runner.message_hub.update_info(_KEY, {"in_a_row": self._in_a_row, "poisoned": guard.poisoned})
        if bad:
            self._tell(runner, data_batch, outputs)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Refuse to write weights that are not finite over good ones.

        Raises:
            DivergedError: names the tensor.
        """
        for part in ("state_dict", "ema_state_dict"):
            if bad := not_finite(checkpoint.get(part) or {}):
                step = (checkpoint.get("meta") or {}).get("iter", runner.iter)
                raise DivergedError(
                    f"step {step}, checkpoint not written: {_weights(bad)}; {_advice(runner)}"
                )

    def _tell(self, runner: Any, batch: Any, outputs: Any) -> None:
        """Warn of a bad step, or end the run."""
        if self._guard.cause:
            self._trouble = f"step {runner.iter + 1}: {_what(self._guard.cause, outputs, batch)}"
            self._trouble += f", learning rate {_rate(runner)}"
        if bad := not_finite(dict(runner.model.named_parameters())):
            raise DivergedError(f"{self._trouble}: {_weights(bad)}; {_advice(runner)}")
        if self._in_a_row >= self.patience:
            raise DivergedError(
                f"{self._in_a_row} steps in a row were not finite (--nan-patience {self.patience}) and were "
                f"not applied; {self._trouble}; {_advice(runner)}"
            )
        if is_main_process():
            count = f", {self._in_a_row} in a row" if self._in_a_row > 1 else ""
            warn(f"{self._trouble}: not applied{count}")


def _what(cause: str, outputs: Any, batch: Any) -> str:
    """Say what was not finite, and in which images, of all processes where several work."""
    losses = _losses(outputs)
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    mine = (bool(bad), f"{losses.get('loss', math.nan):.4g}", bad, sorted(set(image_names(batch))))
    all_of_them = all_gather_object(mine)
    guilty = [one for one in all_of_them if one[0]] if cause == LOSS else []
    told = guilty or all_of_them
    parts = sorted({name for one in told for name in one[2]} - {"loss"})
    text = f"loss {told[0][1]}" + (f" ({', '.join(parts)})" if parts else "")
    if cause != LOSS:
        text += ", its gradient is not finite" if cause == GRADIENT else ", a norm's or queue's state is not"
    names = [name for one in told for name in one[3]]
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{text}, images {', '.join(names[:MOST_NAMES]) or 'without names'}{more}"


def _losses(outputs: Any) -> dict[str, float]:
    items = outputs.items() if isinstance(outputs, Mapping) else ()
    return {name: float(value) for name, value in items if torch.is_tensor(value) and value.numel() == 1}


def image_names(batch: Any) -> Iterator[str]:
    """Find the files of a batch's images, wherever its samples lie in it."""
    if isinstance(batch, Mapping):
        batch = list(batch.values())
    if isinstance(batch, (list, tuple)):
        for part in batch:
            yield from image_names(part)
    elif not torch.is_tensor(batch) and getattr(batch, "img_path", None):
        yield str(batch.img_path)


def _rate(runner: Any) -> str:
    rates = [rate for name, values in runner.optim_wrapper.get_lr().items() for rate in values]
    low, high = min(rates), max(rates)
    return f"{high:g}" if low == high else f"{low:g} to {high:g}"


def _weights(bad: list[str]) -> str:
    more = f" (nor are {len(bad) - 1} other tensors)" if len(bad) > 1 else ""
    return f"the weights {bad[0]} are no longer finite{more}"


def _advice(runner: Any) -> str:
    """Say what is left, and what to do."""
    last = noted_checkpoint(Path(runner.work_dir))
    left = f"the last good checkpoint is {last}" if last else "no checkpoint was written"
    return f"{left}; lower the learning rate, or look at these images"
