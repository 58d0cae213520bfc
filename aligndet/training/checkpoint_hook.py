"""mmengine's CheckpointHook, of which a kill at any moment leaves the last good checkpoint."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook

from aligndet.common.files import delete_unfinished, write_text
from aligndet.common.newest_checkpoint import LAST_CHECKPOINT

#: Name of the checkpoint of a run that was asked to stop; the next one takes its place.
STOPPED = "stopped_at_{}.pth"


class WholeCheckpointHook(CheckpointHook):
    """Keeps checkpoints as its options say, and removes an old one only when the new one is whole.

    The runner writes each so that it is there whole or not at all. What is to be removed next is noted in the
    new one, so that a run that was killed in between makes up for it. In a folder that was moved or copied,
    only the files in it are its own.
    """

    file_backend: Any
    last_ckpt: str | None
    best_ckpt_path: str | None
    best_ckpt_path_dict: dict[str, str | None]
    keep_ckpt_ids: deque[int]
    _step_of_last = -1

    def before_train(self, runner: Any) -> None:
        """Find what earlier runs left in the folder."""
        super().before_train(runner)
        if isinstance(self.file_backend, LocalBackend) and is_main_process():
            delete_unfinished(Path(self.out_dir), "*.pth")
        if self.save_best is not None:
            if len(self.key_indicators) == 1:
                self.best_ckpt_path = self._here(self.best_ckpt_path)
            else:
                paths = self.best_ckpt_path_dict.items()
                self.best_ckpt_path_dict = {key: self._here(path) for key, path in paths}
        if self.last_ckpt is None and "last_ckpt" in runner.message_hub.runtime_info:
            self.last_ckpt = self._here(runner.message_hub.get_info("last_ckpt"))

    def save_stopped(self, runner: Any, epochs: int, step: int) -> str:
        """Write a checkpoint after so many epochs and steps, when none is due, and note it as the latest.

        Returns:
            Its path, or that of the checkpoint of this very step that is there already.
        """
        if self._step_of_last == step and self.last_ckpt is not None:
            return str(self.last_ckpt)
        path = str(self.file_backend.join_path(self.out_dir, STOPPED.format(step)))
        meta = {"epoch": epochs, "iter": step}
        runner.save_checkpoint(self.out_dir, Path(path).name, meta=meta, by_epoch=False, **self._where())
        self._note(runner, path)
        self._remove_stopped(but=path)
        return path

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict[str, Any]) -> None:
        outdated = self._count(runner, step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            self.filename_tmpl.format(step),
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            **self._where(),
            **self.args,
        )
        self._step_of_last = meta["iter"]
        self._note(runner, str(self.last_ckpt))
        for old in outdated:
            self._remove(self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old)))
        self._remove_stopped(but="")

    def _count(self, runner: Any, step: int) -> list[int]:
        """Take a step among those that are kept; give those that are too old then.

        The message hub still lists these, for a run that is killed before they are removed.
        """
        if self.max_keep_ckpts <= 0 or (self.keep_ckpt_ids and self.keep_ckpt_ids[-1] == step):
            return []
        kept = [*self.keep_ckpt_ids, step]
        runner.message_hub.update_info("keep_ckpt_ids", kept)
        self.keep_ckpt_ids = deque(kept, self.max_keep_ckpts)
        return kept[: -self.max_keep_ckpts]

    def _save_best_checkpoint(self, runner: Any, metrics: dict[str, Any]) -> None:
        with self._removing_later() as outdated:
            super()._save_best_checkpoint(runner, metrics)
        single = getattr(self, "best_ckpt_path", None)
        best = {single, *getattr(self, "best_ckpt_path_dict", {}).values()}
        for path in outdated:
            if path not in best:
                self._remove(path)

    @contextmanager
    def _removing_later(self) -> Iterator[list[str]]:
        """Collect what the hook removes meanwhile, but for what this class removes."""
        backend = self.file_backend
        outdated: list[str] = []
        self.file_backend = _Collecting(backend, outdated)
        try:
            yield outdated
        finally:
            self.file_backend = backend

    def _remove(self, path: str) -> None:
        """Remove a checkpoint, or the folder that is one."""
        if not is_main_process():
            return
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):
            self.file_backend.rmtree(path)

    def _remove_stopped(self, but: str) -> None:
        if not is_main_process() or not isinstance(self.file_backend, (LocalBackend, _Collecting)):
            return
        for path in Path(self.out_dir).glob(STOPPED.format("*")):
            if str(path) != but:
                path.unlink(missing_ok=True)

    def _note(self, runner: Any, path: str) -> None:
        if is_main_process():
            write_text(Path(runner.work_dir) / LAST_CHECKPOINT, path)

    def _here(self, path: str | None) -> str | None:
        """The path of a checkpoint in the folder as it now lies."""
        return path and str(self.file_backend.join_path(self.out_dir, Path(path).name))

    def _where(self) -> dict[str, Any]:
        """How the storage is reached."""
        return {"file_client_args": self.file_client_args, "backend_args": self.backend_args}


class _Collecting:
    """Stands in for a storage, and collects what is to be removed from it."""

    def __init__(self, backend: Any, outdated: list[str]) -> None:
        self._backend, self._outdated = backend, outdated

    def remove(self, path: str) -> None:
        self._outdated.append(path)

    def rmtree(self, path: str) -> None:
        self._outdated.append(path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)
