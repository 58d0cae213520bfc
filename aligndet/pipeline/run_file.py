"""``run.json``: what was asked, with which versions and contents, and how far each stage is."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligndet.common import work_dir
from aligndet.common.errors import InputError
from aligndet.common.files import write_text
from aligndet.doctor.versions import deciding_versions
from aligndet.pipeline.codec import as_plain
from aligndet.pipeline.question import Question, differences
from aligndet.pipeline.stage import Stage
from aligndet.pipeline.stamps import mark, stamps, unchanged

FILE, SCRATCH = "run.json", ".aligndet"
#: What the pipeline writes into its folder beside the outputs of stages.
WRITTEN = (FILE, SCRATCH, "report.html", "metrics.jsonl", "log.txt")
PENDING, RUNNING, DONE, FAILED, INTERRUPTED = "pending", "running", "done", "failed", "interrupted"


@dataclass
class RunFile:
    """The state of a run, written to ``run.json`` at every change.

    Attributes:
        folder: the out folder.
        data: the content of the file.
    """

    folder: Path
    data: dict[str, Any] = field(default_factory=dict)

    def write(self) -> None:
        """Write the file, atomically."""
        write_text(self.folder / FILE, json.dumps(as_plain(self.data), indent=1))

    def stage(self, name: str) -> dict[str, Any]:
        """What is known of a stage."""
        entry: dict[str, Any] = self.data.setdefault("stages", {}).setdefault(
            name, {"state": PENDING, "seconds": 0.0}
        )
        return entry

    def is_done(self, stage: Stage, key: str) -> bool:
        """Whether a stage was finished with the same inputs, and its outputs are as they were."""
        entry = self.stage(stage.name)
        return entry["state"] == DONE and entry.get("key") == key and unchanged(self.folder, entry["outputs"])

    def begin(self, stage: Stage, key: str) -> None:
        """A stage begins: it goes on where it stopped, and afresh where its inputs or outputs changed."""
        entry = self.stage(stage.name)
        if entry.get("key") not in (None, key) or entry["state"] == DONE:
            delete(self.folder, stage.outputs)
            entry["seconds"] = 0.0
        entry.update(state=RUNNING, key=key, title=stage.title)
        entry.pop("error", None)
        self.write()

    def end(self, stage: Stage, state: str, seconds: float, result: Any = None, error: str = "") -> None:
        """A stage ends."""
        entry = self.stage(stage.name)
        entry.update(state=state, seconds=entry["seconds"] + seconds)
        if error:
            entry["error"] = error
        if state == DONE:
            made = [name for name in stage.tokens or stage.outputs if (self.folder / name).exists()]
            entry.update(result=result, outputs=stamps(self.folder, made, entry.get("outputs")))
            entry["made"] = time.time_ns() if stage.tokens else 0
        self.write()

    def mark(self, name: str) -> str:
        """What later stages depend on; empty for a stage that is not done."""
        entry = self.stage(name)
        return mark(f"{entry['key']} {entry['made']}", entry["outputs"]) if entry["state"] == DONE else ""

    def results(self) -> dict[str, dict[str, Any]]:
        """Results of the stages that are done, by name."""
        return {
            name: entry["result"]
            for name, entry in self.data.get("stages", {}).items()
            if entry["state"] == DONE and entry.get("result") is not None
        }

    def warn(self, text: str) -> None:
        """Keep a warning for the report."""
        if text not in self.data.setdefault("warnings", []):
            self.data["warnings"].append(text)


def read(folder: Path) -> RunFile | None:
    """The run in a folder; None where there is none.

    Raises:
        InputError: the folder holds files of somebody else, or ``run.json`` cannot be read.
    """
    file = folder / FILE
    if file.is_file():
        with contextlib.suppress(OSError, ValueError):
            data = json.loads(file.read_text())
            if isinstance(data, dict) and "asked" in data:
                return RunFile(folder, data)
        raise InputError(f"--out {folder}: its run.json was not written by aligndet; give another --out")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: this is a file; give a folder")
    if folder.is_dir() and any(path.name != SCRATCH for path in folder.iterdir()):
        raise InputError(
            f"--out {folder}: holds files that no run made (there is no run.json); give another --out"
        )
    return None


def new(question: Question, stages: list[Stage], command: str) -> RunFile:
    """A run that has not begun."""
    entries = {stage.name: {"state": PENDING, "seconds": 0.0, "title": stage.title} for stage in stages}
    data = {
        "command": command,
        "asked": as_plain(question.decisive()),
        "directory": str(Path.cwd()),
        "seed": question.seed,
        "versions": deciding_versions(),
        "inputs": {},
        "state": PENDING,
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "warnings": [],
        "stages": entries,
    }
    return RunFile(question.folder, data)


def refuse_other(run: RunFile, question: Question, contents: dict[str, str]) -> None:
    """Refuse to go on with a run that was asked otherwise, or whose inputs changed.

    Raises:
        InputError: names what differs.
    """
    other = differences(run.data["asked"], as_plain(question.decisive()))
    if not other:
        other = [f"{name}: its content changed" for name in _changed(run.data["inputs"], contents)]
    if other:
        raise InputError(
            f"--out {run.folder} holds a run that was asked otherwise: {'; '.join(other)}. "
            "Give another --out, or --overwrite to start afresh"
        )


def _changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    return [name for name in before if name in now and before[name] != now[name]]


def delete(folder: Path, names: tuple[str, ...] | list[str]) -> None:
    """Delete outputs."""
    for name in names:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def locked(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Keep a second run out of a folder.

    Raises:
        InputError: another process works there, or the folder cannot be written.
    """
    return work_dir.locked(folder, "--out", f"{SCRATCH}/lock")
