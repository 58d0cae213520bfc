"""Stop a run after a number of steps, whatever counts its length: it is the beginning of the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook


def cap(config: Config, most: int) -> None:
    """Prepare a config, in place, for a run that :class:`StopAfter` ends after ``most`` steps.

    A checkpoint is written at that step, some steps are logged, and a configured validation runs at the end.
    Schedules stay as they are: what is run is the beginning of the whole run.
    """
    hooks = dict(config.get("default_hooks") or {})
    checkpoint = hooks.get("checkpoint") or {}
    hooks["checkpoint"] = {
        **checkpoint,
        "type": checkpoint.get("type", "CheckpointHook"),
        "by_epoch": False,
        "interval": most,
        "save_last": True,
    }
    logger = hooks.get("logger") or {}
    interval = min(logger.get("interval", 50), max(1, most // 10))
    hooks["logger"] = {**logger, "type": logger.get("type", "LoggerHook"), "interval": interval}
    config.default_hooks = hooks
    if "val_interval" in config.train_cfg or config.get("val_evaluator"):
        config.train_cfg.val_interval = most if "max_iters" in config.train_cfg else 1
        config.train_cfg.pop("val_begin", None)
        config.train_cfg.pop("dynamic_intervals", None)


class StopAfter(Hook):
    """Ends a run after a number of steps, in the middle of an epoch too.

    Args:
        most: steps.
    """

    priority = "LOWEST"

    def __init__(self, most: int) -> None:
        self.most = most

    def before_train(self, runner: Any) -> None:
        """Let the loop's loader end when the loop is to stop."""
        loop = runner.train_loop
        loop.stop_training = runner.iter >= self.most
        if not hasattr(loop, "dataloader_iterator"):  # a loop over epochs, which empties its loader
            loop.dataloader = _Interruptible(loop)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Stop after this step, where it is the last."""
        if runner.iter + 1 >= self.most:
            runner.train_loop.stop_training = True


class _Interruptible:
    """A loop's loader that gives no further batch once the loop is to stop."""

    def __init__(self, loop: Any) -> None:
        self._loop, self._loader = loop, loop.dataloader

    def __iter__(self) -> Iterator[Any]:
        for batch in self._loader:
            yield batch
            if self._loop.stop_training:
                return

    def __len__(self) -> int:
        return len(self._loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
