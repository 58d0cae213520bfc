"""A stage: commands whose output goes to a log, done once, and gone on with when interrupted.

A stage has a folder of its own. `stage.json` in it holds a key made of everything the stage depends on, so a
stage that is done is passed over, an interrupted one goes on, and one whose inputs changed starts afresh.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligndet.common.files import write_text
from aligndet.road.inputs import config_content, is_config
from aligndet.road.progress import clock, progress, shown, tail
from aligndet.road.state import mark, read_state, stamps, unchanged, write_state

Say = Callable[[str], None]

#: glibc gives every freed tensor back to Linux and faults its pages in anew at the next step; kept in the
#: process instead, a CPU training step of a small detector is clearly shorter. Other C libraries ignore it.
MALLOC = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "99999999999",
    "MALLOC_TOP_PAD_": "268435456",
}


#: OpenMP threads that wait by spinning take the core from the loader and from whatever else runs: on two busy
#: cores a step took three times as long as with threads that sleep.
WAIT = {"OMP_WAIT_POLICY": "PASSIVE"}


class StageError(RuntimeError):
    """A stage failed; the message names it, its log and what mends it."""


@dataclass(frozen=True)
class Stage:
    """What a stage runs and what it leaves behind.

    Attributes:
        name: of its folder below the work dir; title: for people.
        commands: run one after the other; each must be safe to run again.
        outputs: files that are there once the stage is done.
        mend: what to do when it fails.
        number: reads the stage's result for the table, from its outputs.
        prepare: work done in this process before the commands.
        depends: more that decides the result (the user's images, say).
        after: stages whose outputs it reads; None is the one before.
        files: texts that are written before the commands, by path.
    """

    name: str
    title: str
    commands: tuple[tuple[str, ...], ...]
    outputs: tuple[Path, ...]
    mend: str
    number: Callable[[], str]
    prepare: Callable[[], None] | None = None
    depends: str = ""
    after: tuple[str, ...] | None = None
    files: Mapping[Path, str] = field(default_factory=dict)

    def key(self, before: str, root: Path) -> str:
        """Hash of the stages before, the commands, and the whole content of the configs they name."""
        words = [word for command in self.commands for word in command]
        given = [word for word in words if is_config(word, root) and root / word not in self.files]
        configs = [config_content(word, root) for word in given]
        files = {str(path): text for path, text in self.files.items()}
        text = json.dumps([before, self.name, self.depends, self.commands, configs, files])
        return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Done:
    """A finished stage: its result in words, how long it took in seconds, and whether it was found done."""

    stage: Stage
    number: str
    seconds: float
    reused: bool


@dataclass
class Walker:
    """Carries out stages in order.

    Attributes:
        work: folder of all stages. root: of the repository, where commands run.
        threads: of each command. say: where progress is told. interval: seconds between progress lines.
        keep: what a stage with other inputs left before is moved aside; False deletes it.
    """

    work: Path
    root: Path
    threads: int = 1
    say: Say = print
    interval: float = 15.0
    keep: bool = False
    done: list[Done] = field(default_factory=list)
    marks: dict[str, str] = field(default_factory=dict)

    def carry_out(self, stage: Stage) -> Done:
        """Do a stage, or find it done.

        Raises:
            StageError: a command failed or left an output out; or the folder holds files of somebody else.
        """
        folder = self.work / stage.name
        self.say(f"\n[{len(self.done) + 1}] {stage.title}")
        names = list(self.marks)[-1:] if stage.after is None else stage.after
        key = stage.key(" ".join(self.marks[name] for name in names), self.root)
        state = self._state(folder)
        same = state.get("key") == key
        if same and state.get("done") and unchanged(stage.outputs, state.get("outputs", {})):
            return self._finish(stage, state, reused=True)
        if state and not same:
            self._clear(folder)
        spent = float(state.get("seconds", 0)) if same else 0.0
        seconds = spent + self._run(stage, folder, key, spent)
        outputs = stamps(stage.outputs)
        state = {"key": key, "done": True, "seconds": seconds, "outputs": outputs}
        write_state(folder, state)
        return self._finish(stage, state, reused=False)

    def _state(self, folder: Path) -> dict[str, Any]:
        state = read_state(folder)
        if state is None:
            raise StageError(f"{folder} holds files that no stage made; give another --work-dir")
        return state

    def _clear(self, folder: Path) -> None:
        """Make room for a stage whose inputs changed."""
        if not self.keep:
            self.say("    made with other inputs or options before: starting afresh")
            shutil.rmtree(folder)
            return
        number = 1
        while (aside := folder.with_name(f"{folder.name}.before{number}")).exists():
            number += 1
        self.say(f"    made with other inputs or options before: starting afresh; that is now {aside.name}/")
        folder.rename(aside)

    def _run(self, stage: Stage, folder: Path, key: str, spent: float) -> float:
        begin, finished = time.monotonic(), False
        write_state(folder, {"key": key, "done": False, "seconds": spent})
        log = folder / "log.txt"
        try:
            if stage.prepare:
                stage.prepare()
            for path, text in stage.files.items():
                write_text(path, text)
            for command in stage.commands:
                self.say(f"    {shown(command)}")
                code = run_logged(command, log, self.root, self.threads, self.say, self.interval)
                if code:
                    raise StageError(f"exit status {code}")
            missing = [str(path) for path in stage.outputs if not path.exists()]
            if missing:
                raise StageError(f"no {', '.join(missing)} came out of it")
            finished = True
        except (StageError, OSError, ValueError) as error:
            raise StageError(failure(stage, log, error)) from error
        finally:
            seconds = time.monotonic() - begin
            if not finished:
                write_state(folder, {"key": key, "done": False, "seconds": spent + seconds})
        return seconds

    def _finish(self, stage: Stage, state: dict[str, Any], reused: bool) -> Done:
        seconds = float(state["seconds"])
        self.marks[stage.name] = mark(state["key"], state["outputs"])
        try:
            number = stage.number()
        except (OSError, ValueError, KeyError) as error:  # the work is done; only its summary is lost
            number = f"(no summary: {error})"
        result = Done(stage, number, seconds, reused)
        took = f"found done ({clock(seconds)} when it was made)" if reused else f"done in {clock(seconds)}"
        self.say(f"    {took}: {result.number}")
        self.done.append(result)
        return result


def run_logged(command: Sequence[str], log: Path, root: Path, threads: int, say: Say, interval: float) -> int:
    """Run a command with its output appended to ``log``; tell progress; return its exit status."""
    with log.open("ab") as stream:
        stream.write(f"$ {shown(command)}\n".encode())
        stream.flush()
        begin = stream.tell()
        process = subprocess.Popen(
            command, stdout=stream, stderr=subprocess.STDOUT, cwd=root, env=environment(root, threads)
        )
    said, last = "", time.monotonic()
    try:
        while process.poll() is None:
            time.sleep(0.1)
            if time.monotonic() - last >= interval:
                last = time.monotonic()
                line = progress(tail(log, begin))
                if line and line != said:
                    say(f"      {line}")
                    said = line
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    return process.returncode


def environment(root: Path, threads: int) -> dict[str, str]:
    """Environment of the commands: this package importable, thread limits, :data:`MALLOC`, :data:`WAIT`.

    What the user has set stays.
    """
    path = os.environ.get("PYTHONPATH")
    number = str(threads)
    ours = {**MALLOC, **WAIT, "OMP_NUM_THREADS": number, "MKL_NUM_THREADS": number, "PYTHONUNBUFFERED": "1"}
    ours["PYTHON"] = sys.executable  # of tools/dist_train.sh
    return {
        **ours,
        **os.environ,
        "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else str(root),
    }


def failure(stage: Stage, log: Path, error: Exception) -> str:
    """What a person is told when a stage fails."""
    lines = [f"stage '{stage.name}' failed: {error}"]
    if log.exists() and isinstance(error, StageError):
        said = [line for line in re.split(r"[\r\n]+", tail(log)) if line.strip()]
        lines += [f"  | {line[:300]}" for line in said[-3:]]
        lines.append(f"log:  {log}")
    return "\n".join(
        [*lines, f"mend: {stage.mend}", "Then give the same command again; what is done is kept."]
    )
