"""The runner of every training: mmengine's, of which an interrupted run loses nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS, RUNNERS
from mmengine.runner import Runner

from aligndet.common.checkpoints import CheckpointError
from aligndet.common.config_text import WrittenConfig
from aligndet.common.files import replaced_by
from aligndet.common.newest_checkpoint import begin_anew, newest_checkpoint
from aligndet.common.notices import warn
from aligndet.training.bad_images import BadImagesHook, replace_bad_images
from aligndet.training.checkpoint_hook import WholeCheckpointHook
from aligndet.training.finite import PATIENCE, FiniteHook
from aligndet.training.held import gather
from aligndet.training.resuming import NOT_EXACT, keep_position
from aligndet.training.stop import StopHook, deafen, requeue_noted, stop_requests


class NotSavedError(RuntimeError):
    """Says that a checkpoint could not be written; those before it are there."""


class TrainingRunner(Runner):
    """Trains as mmengine's runner does, and what is drawn depends on the position in the run alone.

    Attributes:
        goes_on: from the newest checkpoint of the work dir; without one, it begins as its config says.
        held: what all processes held when the last checkpoint was written, see :mod:`aligndet.training.held`.
    """

    goes_on = False
    _resume: bool
    held: list[dict[str, Any]] | None = None

    def build_train_loop(self, loop: Any) -> Any:
        """Build the loop over steps or epochs, which can go on from any of its positions."""
        built = super().build_train_loop(loop)
        keep_position(self, built)
        return built

    @staticmethod
    def build_dataloader(dataloader: Any, *args: Any, **options: Any) -> Any:
        """Build a loader whose bad images are replaced."""
        loader = Runner.build_dataloader(dataloader, *args, **options)
        replace_bad_images(loader.dataset)
        return loader

    def register_hook(self, hook: Any, priority: Any = None) -> None:
        """Register a hook; mmengine's CheckpointHook becomes the one that loses nothing."""
        if isinstance(hook, dict) and _kind(hook.get("type")) is CheckpointHook:
            hook = {**hook, "type": WholeCheckpointHook}
        super().register_hook(hook, priority)

    def train(self) -> Any:
        """Train; a signal that asks to end is obeyed after a step, with a checkpoint of it.

        Raises:
            Stopped: there was such a signal.
            TooManyBadError: more images are bad than may be; the work is saved.
        """
        deafen(self.train_loop.dataloader)
        if self._val_loop is not None:
            deafen(self.val_loop.dataloader)
        bad_images = BadImagesHook(self._save_stopped)
        self.register_hook(bad_images)
        requeued = requeue_noted(Path(self.work_dir))
        with requeued, stop_requests() as request, bad_images.until_none_is_left(self):
            self.register_hook(StopHook(request, self._save_stopped))
            return super().train()

    def load_or_resume(self) -> None:
        """Load the weights to start from, or go on from the newest readable checkpoint of the work dir.

        Raises:
            CheckpointError: the newest has to be trusted, or the disk does not give it.
        """
        newest_is_asked = self.goes_on or (self._resume and self._load_from is None)
        if newest_is_asked and not self._has_loaded:
            path = _agreed_newest(Path(self.work_dir))
            if path is not None:
                self._resume = True
                self.logger.info(f"goes on from {path}")
                self.resume(str(path))
                return
            self._resume &= self._load_from is not None
        elif is_main_process():
            begin_anew(Path(self.work_dir), Path(self._load_from) if self._resume else None)
        super().load_or_resume()

    def save_checkpoint(
        self, out_dir: str, filename: str, file_client_args: Any = None, **options: Any
    ) -> None:
        """Save a checkpoint, whole or not at all; every process calls this, and the main process writes.

        Raises:
            NotSavedError: the disk does not take it.
        """
        self.held = gather(self)
        if not is_main_process():
            return
        if file_client_args is not None or not _is_local(out_dir, options.get("backend_args")):
            super().save_checkpoint(out_dir, filename, file_client_args, **options)
            return
        path = Path(out_dir) / filename
        try:
            with replaced_by(path) as temporary:
                super().save_checkpoint(out_dir, temporary.name, **options)
        except OSError as error:
            raise NotSavedError(
                f"{path} was not written: {error.strerror or error}; checkpoints written before are whole: "
                "make room, and go on with --resume"
            ) from error

    def _save_stopped(self, epochs: int, steps: int) -> str:
        """Save where a run stops that was asked to; the path."""
        hook = next((hook for hook in self.hooks if isinstance(hook, WholeCheckpointHook)), None)
        if hook is None:  # the user's hooks save in their own way
            hook = WholeCheckpointHook()
            hook.before_train(self)
        return hook.save_stopped(self, epochs, steps)


def _kind(named: Any) -> Any:
    """The class of a hook's config; None where there is no such class, which its building says."""
    return HOOKS.get(named) if isinstance(named, str) else named


def _is_local(folder: str, backend_args: Any) -> bool:
    local = isinstance(get_file_backend(folder, backend_args=backend_args), LocalBackend)
    return local and "://" not in str(folder)


def _agreed_newest(folder: Path) -> Path | None:
    """The checkpoint that all processes go on from: the main process looks."""
    answer: list[Any] = [None]
    if is_main_process():
        try:
            newest = newest_checkpoint(folder)
            newest.tell()
            answer = [newest.path]
        except (CheckpointError, OSError) as error:
            answer = [error]
    broadcast_object_list(answer)
    if isinstance(answer[0], Exception):
        raise answer[0]
    return answer[0]


def runner_of(config: Config, goes_on: bool = False, nan_patience: int = PATIENCE) -> Any:
    """Build the runner of a config: ours, or the one that its ``runner_type`` names.

    Args:
        config: complete.
        goes_on: whether it goes on from the newest checkpoint of its work dir.
        nan_patience: steps in a row that may be not finite, see :class:`aligndet.training.finite.FiniteHook`.
    """
    written = WrittenConfig.of(config)
    if "runner_type" not in config:
        runner = TrainingRunner.from_cfg(written)
        runner.goes_on = goes_on
        runner.register_hook(FiniteHook(nan_patience))
        return runner
    if goes_on:
        written.resume, written.load_from = True, None
    warn(f"{NOT_EXACT}: runner_type is {config.runner_type}")
    runner = RUNNERS.build(written)
    runner.register_hook(FiniteHook(nan_patience))
    return runner
