"""A stage of the demo: commands whose output goes to a log, done once, and gone on with when interrupted.

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
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .progress import clock, progress, shown, tail

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
    """

    name: str
    title: str
    commands: tuple[tuple[str, ...], ...]
    outputs: tuple[Path, ...]
    mend: str
    number: Callable[[], str]
    prepare: Callable[[], None] | None = None
    depends: str = ""

    def key(self, before: str, root: Path) -> str:
        """Hash of the stages before, the commands, and the text of the configs they name."""
        words = [word for command in self.commands for word in command]
        configs = [(root / word).read_text() for word in words if word.endswith(".py") and "configs" in word]
        text = json.dumps([before, self.name, self.depends, self.commands, configs])
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
    """

    work: Path
    root: Path
    threads: int = 1
    say: Say = print
    interval: float = 15.0
    done: list[Done] = field(default_factory=list)
    _key: str = ""

    def carry_out(self, stage: Stage) -> Done:
        """Do a stage, or find it done.

        Raises:
            StageError: a command failed or left an output out.
        """
        folder = self.work / stage.name
        self._key = stage.key(self._key, self.root)
        state = read_state(folder)
        self.say(f"\n[{len(self.done) + 1}] {stage.title}")
        same = state.get("key") == self._key
        if same and state.get("done") and all(path.exists() for path in stage.outputs):
            return self._finish(stage, float(state["seconds"]), reused=True)
        if state and not same:
            self.say("    made with other inputs or options before: starting afresh")
            shutil.rmtree(folder)
        spent = float(state.get("seconds", 0)) if same else 0.0
        seconds = spent + self._run(stage, folder, spent)
        write_state(folder, {"key": self._key, "done": True, "seconds": seconds})
        return self._finish(stage, seconds, reused=False)

    def _run(self, stage: Stage, folder: Path, spent: float) -> float:
        begin, finished = time.monotonic(), False
        write_state(folder, {"key": self._key, "done": False, "seconds": spent})
        log = folder / "log.txt"
        try:
            if stage.prepare:
                stage.prepare()
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
                write_state(folder, {"key": self._key, "done": False, "seconds": spent + seconds})
        return seconds

    def _finish(self, stage: Stage, seconds: float, reused: bool) -> Done:
        try:
            number = stage.number()
        except (OSError, ValueError, KeyError) as error:  # the work is done; only its summary is lost
            number = f"(no summary: {error})"
        result = Done(stage, number, seconds, reused)
        took = f"found done ({clock(seconds)} when it was made)" if reused else f"done in {clock(seconds)}"
        self.say(f"    {took}: {result.number}")
        self.done.append(result)
        return result


def read_state(folder: Path) -> dict:
    """What `stage.json` says; empty if there is none. A folder that is not a stage's is refused.

    Raises:
        StageError: the folder holds files and no `stage.json`; it could be the user's.
    """
    path = folder / "stage.json"
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        if folder.is_dir() and any(folder.iterdir()) and not path.exists():
            raise StageError(
                f"{folder} holds files that the demo did not make; give another --work-dir"
            ) from None
        return {}


def write_state(folder: Path, state: dict) -> None:
    """Write `stage.json`, atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"stage.json.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(state))
    os.replace(temporary, folder / "stage.json")


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
