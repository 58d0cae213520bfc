"""The newest checkpoint of a work dir that can be read, wherever the folder now lies."""

from __future__ import annotations

import errno
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from aligndet.common.checkpoints import CheckpointError, plain_data_loads, read_checkpoint
from aligndet.common.files import write_json
from aligndet.common.notices import warn

#: File of a mmengine work dir that names its latest checkpoint.
LAST_CHECKPOINT = "last_checkpoint"
#: File that names what lay in a work dir when its run began: checkpoints of other runs.
OF_OTHERS = ".of_earlier_runs.json"
SUFFIXES = (".pth", ".pt")
#: What mmengine writes beside the checkpoints of a run: its best, and what it publishes.
NOT_TO_GO_ON_FROM = re.compile(r"^best_|-[0-9a-f]{8}\.pth$|^\.")


@dataclass(frozen=True)
class Newest:
    """The checkpoint that a run goes on from.

    Attributes:
        path: of it; None where the work dir has none, or no readable one.
        passed_over: what is wrong with newer ones, one line each.
    """

    path: Path | None
    passed_over: tuple[str, ...] = ()

    def tell(self) -> None:
        """Warn of what was passed over."""
        then = f"goes on from {self.path}" if self.path else "there is no older one: begins from the start"
        for line in self.passed_over:
            warn(f"{line}; {then}")


def newest_checkpoint(folder: Path) -> Newest:
    """Find what a run in a work dir goes on from: the noted checkpoint, or that of the latest step.

    It is whole: its checksums are compared, which torch does not do. The folder may have been moved or
    copied: files in it come before the one that its note names elsewhere. Those that lay there when the run
    began are not its own.

    Raises:
        CheckpointError: one holds what has to be trusted, or cannot be read for a reason that may pass.
    """
    noted = noted_checkpoint(folder)
    found = _candidates(folder)
    if not found and noted and noted.parent != folder:
        found = _candidates(noted.parent)
    steps: dict[Path, tuple[Any, ...]] = {}
    faults: dict[Path, str] = {}
    for path in dict.fromkeys([*found, *([noted] if noted else [])]):
        try:
            step = _step(path, path == noted)
        except _DamagedError as error:
            faults[path] = str(error)
        else:
            if step is not None:
                steps[path] = step
    for path in sorted(steps, key=lambda path: steps[path], reverse=True):
        fault = _checksum_fault(path)
        if fault is None:
            return Newest(path, tuple(faults.values()))
        faults[path] = fault
    return Newest(None, tuple(faults.values()))


def begin_anew(folder: Path, but: Path | None = None) -> None:
    """Note that a run begins in a work dir, so that checkpoints of earlier runs are not taken for its own.

    Args:
        but: the one that it goes on from.
    """
    own = but.resolve() if but else None
    earlier = {path.name: path.stat().st_mtime_ns for path in _files(folder) if path.resolve() != own}
    if earlier:
        write_json(folder / OF_OTHERS, earlier)
    else:
        (folder / OF_OTHERS).unlink(missing_ok=True)


def noted_checkpoint(folder: Path) -> Path | None:
    """The file that a work dir's note names, if it is there and the run's own; nothing of it is read."""
    try:
        text = (folder / LAST_CHECKPOINT).read_text(encoding="utf-8", errors="replace").strip()
        named = Path(text)
        if text and "\0" not in text:
            path = next((path for path in (folder / named.name, named) if path.is_file()), None)
            return path if path and _is_own(path, _of_others(path.parent)) else None
    except OSError:
        pass
    return None


def latest_checkpoint(folder: Path) -> Path:
    """Find the newest readable checkpoint of a work dir, and warn of those passed over.

    Raises:
        CheckpointError: there is none.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: there is no such folder; expected a work dir with a checkpoint")
    newest = newest_checkpoint(folder)
    if newest.path is None:
        reason = "; ".join(newest.passed_over) or "expected iter_N.pth or epoch_N.pth of a training"
        raise CheckpointError(f"{folder} has no checkpoint that can be read: {reason}")
    newest.tell()
    return newest.path


def checkpoint_file(path: Path) -> Path:
    """Find the file that is meant: a checkpoint itself, or the newest of a work dir.

    Raises:
        CheckpointError: neither.
    """
    if path.is_dir():
        return latest_checkpoint(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    return path


class _DamagedError(Exception):
    """Says that a file is cut or changed, so that nobody can read it."""


def _candidates(folder: Path) -> list[Path]:
    """The files of a folder that may be checkpoints to go on from."""
    earlier = _of_others(folder)
    return [path for path in _files(folder) if _is_own(path, earlier)]


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if _may_be(path)]


def _of_others(folder: Path) -> dict[str, int]:
    """Checkpoints of earlier runs, and when they were written."""
    try:
        content = json.loads((folder / OF_OTHERS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_own(path: Path, earlier: dict[str, int]) -> bool:
    return earlier.get(path.name) != path.stat().st_mtime_ns


def _may_be(path: Path) -> bool:
    return path.suffix in SUFFIXES and not NOT_TO_GO_ON_FROM.search(path.name) and path.is_file()


def _step(path: Path, noted: bool) -> tuple[Any, ...] | None:
    """How new a checkpoint is, for comparison; None where nothing can go on from it.

    Tensors stay on the disk.
    """
    content = _without_tensors(path, noted)
    meta = content.get("meta") if isinstance(content, Mapping) else None
    step = meta.get("iter") if isinstance(meta, Mapping) else None
    if not isinstance(meta, Mapping) or not isinstance(step, int):
        return (True, 0, 0, 0) if noted else None
    if "optimizer" not in content and not noted:
        return None
    epoch = meta.get("epoch")
    return (noted, step, epoch if isinstance(epoch, int) else 0, path.stat().st_mtime_ns)


def _without_tensors(path: Path, noted: bool) -> Any:
    """Read what a checkpoint holds beside its tensors.

    Raises:
        _DamagedError: nobody can read it, or it has to be trusted and may be somebody else's.
        CheckpointError: the run's own has to be trusted.
    """
    if path.stat().st_size == 0:
        raise _DamagedError(f"{path} is empty")
    with path.open("rb") as stream:
        begin = stream.read(2)
    if begin == b"PK" and not zipfile.is_zipfile(path):
        raise _DamagedError(f"{path} is cut: its end is missing")
    try:
        if begin == b"PK":
            with plain_data_loads():
                return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # of many kinds: damaged, or not plain data
        if fault := _checksum_fault(path):
            raise _DamagedError(fault) from error
    try:
        return read_checkpoint(path)  # as torch wrote before 1.6, or trusted, or says what is wrong
    except CheckpointError as error:
        if noted and "--trust" in str(error):
            raise
        raise _DamagedError(str(error)) from error


def _checksum_fault(path: Path) -> str | None:
    """What is damaged in a zip archive; None where all of it is as it was written, or it is no archive.

    Raises:
        OSError: the disk does not give the file, which may pass.
    """
    with path.open("rb") as stream:
        if stream.read(2) != b"PK":
            return None
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except Exception as error:  # a damaged archive leads the library to many kinds
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        return f"{path} is damaged: {' '.join(str(error).split())[:200]}"
    return f"{path} is damaged: the checksum of {broken!r} differs" if broken else None
