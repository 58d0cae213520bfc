"""An interrupted run goes on as if it had not been: all that is random follows from its position.

What is drawn for an item depends on seed, epoch, place and index; what a step draws, on seed, step and
process. So no state of a generator is stored, and a checkpoint of the position is enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch import Tensor
from torch.utils.data import IterableDataset

from aligndet.common.notices import warn
from aligndet.training import held
from aligndet.training.positions import Order, extend, seeded_items
from aligndet.training.seeding import seed_of, seed_step

NOT_EXACT = "this run goes on after an interruption, but not bit for bit as without one"
#: Transforms that keep images or generators of their own in the loader's processes.
REMEMBER = {"CachedMosaic", "CachedMixUp", "Albu", "Albumentations"}
#: Attributes under which data sets and transforms hold others.
PARTS = {"dataset", "_dataset", "datasets", "pipeline", "transforms", "transform"}
#: Key of a checkpoint: batches of its epoch that are done.
DONE = "batches_of_epoch"


def keep_position(runner: Any, loop: Any) -> None:
    """Let a loop's order and random numbers come from its position; called again, it does nothing."""
    if hasattr(loop, "order"):
        return
    loop.order = None
    loader = loop.dataloader
    if reason := _foreign(loop, loader):
        warn(f"{NOT_EXACT}: {reason}")
        return
    if names := sorted({type(part).__name__ for part in _parts(loader.dataset, set())} & REMEMBER):
        warn(f"{NOT_EXACT}: {', '.join(names)} of the pipeline keep images or generators of their own")
    seeded_items(loader.dataset)
    loop.order = Order(loader.batch_sampler, run_seed(runner))
    if isinstance(loop, IterBasedTrainLoop):
        loop.dataloader_iterator = _Batches(loop)
    else:
        extend(loop, run_iter=_numbered, numbered_from=0)
    runner.register_hook(PositionHook(loop.order))
    runner.register_hook(ValidateFirstHook())


def run_seed(runner: Any) -> int:
    """Give the seed of a run, which is the same on all its processes."""
    apart = runner._randomness_cfg.get("diff_rank_seed", False)
    return int(runner.seed) - (get_rank() if apart else 0)


def _foreign(loop: Any, loader: Any) -> str:
    """Say why the position of a loop cannot be kept; empty where it can."""
    if not isinstance(loop, (EpochBasedTrainLoop, IterBasedTrainLoop)):
        return f"train_cfg.type {type(loop).__name__} counts neither epochs nor steps as mmengine's loops do"
    if isinstance(loader.dataset, IterableDataset):
        return f"the data set {type(loader.dataset).__name__} cannot be asked for an item by its index"
    if loader.batch_sampler is None:
        return "train_dataloader.batch_size is None, so there is no order of batches"
    return ""


def _parts(thing: Any, seen: set[int]) -> Iterator[Any]:
    """Walk over data sets within a data set, and transforms within their pipelines."""
    if id(thing) in seen or isinstance(thing, (str, Tensor)):
        return
    seen.add(id(thing))
    if isinstance(thing, Mapping):
        inner = list(thing.values())
    elif isinstance(thing, (list, tuple)):
        inner = list(thing)
    else:
        yield thing
        inner = [vars(thing)[name] for name in PARTS & getattr(thing, "__dict__", {}).keys()]
    for part in inner:
        yield from _parts(part, seen)


class PositionHook(Hook):
    """Puts order and random numbers where the run is.

    Args:
        order: of the loop's loader.
    """

    priority = "VERY_HIGH"

    def __init__(self, order: Order) -> None:
        self.order = order
        self._done = 0
        self._held: dict[str, Any] | None = None

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Note how much of its epoch is done, and what the processes hold."""
        checkpoint[DONE] = self._done
        if runner.held is not None:
            checkpoint[held.KEY] = runner.held

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Take the position of a run that goes on; weights to start from have none."""
        if not runner._resume:
            return
        meta = checkpoint["meta"]
        rest = meta["iter"] - meta["epoch"] * len(runner.train_dataloader)
        self.order.done = checkpoint.get(DONE, max(0, rest))
        if kept := checkpoint.get(held.KEY):
            self._held = held.own(kept)

    def before_train(self, runner: Any) -> None:
        """Take over the seed of the checkpoint, where the config has another, and what hooks kept."""
        seed, sampler = run_seed(runner), getattr(self.order.sampler, "sampler", None)
        if sampler is not None and getattr(sampler, "seed", None) == self.order.seed:
            sampler.seed = seed
        self.order.seed = seed
        if self._held is not None:
            held.restore_hooks(runner, self._held)

    def before_train_epoch(self, runner: Any) -> None:
        """Begin the epoch where it was left."""
        seed_step(seed_of(self.order.seed, "epoch", runner.epoch, get_rank()))
        self.order.epoch = runner.epoch
        runner.train_loop.numbered_from = self.order.done

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Seed the step; the first one after a break also finds what modules held, and gradients."""
        if self._held is not None:
            held.restore(runner, self._held)
            self._held = None
        self._done = batch_idx + 1
        seed_step(seed_of(self.order.seed, "step", runner.iter, get_rank()))

    def after_train_epoch(self, runner: Any) -> None:
        """Count anew: checkpoints written from here on are of the next epoch."""
        self._done = 0


class ValidateFirstHook(Hook):
    """Validates before the first step where the checkpoint was written just before a validation.

    Best checkpoints, early stops and schedules that follow a metric are then as without a break.
    """

    priority = "LOWEST"

    def before_train(self, runner: Any) -> None:
        """Ask as the loops do after a step or an epoch."""
        loop = runner.train_loop
        by_steps = isinstance(loop, IterBasedTrainLoop)
        done, most = (loop.iter, loop.max_iters) if by_steps else (loop.epoch, loop.max_epochs)
        if not done or runner.val_loop is None or (loop.order.done and not by_steps):
            return
        loop._decide_current_val_interval()
        if done >= loop.val_begin and (done % loop.val_interval == 0 or done == most):
            runner.val_loop.run()


def _numbered(self: Any, idx: int, data_batch: Any) -> None:
    """Run a step of an epoch; its batches are numbered from where the epoch goes on."""
    self.plain_class.run_iter(self, idx + self.numbered_from, data_batch)


class _Batches:
    """The batches of a loop over steps: one epoch after the other, from the step on where it stands."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._batches: Iterator[Any] | None = None

    def __iter__(self) -> _Batches:
        return self

    def __next__(self) -> Any:
        if self._batches is None:
            order = self._loop.order
            order.epoch, order.done, order.endless = 0, self._loop.iter, True
            self._batches = iter(self._loop.dataloader)
        return next(self._batches)

    def skip_iter(self, num_iters: int) -> None:
        """Nothing is passed over here: the loader begins where the loop stands."""
