"""What is told while a command runs: how far its log says it is, times, and the command itself."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path


def tail(log: Path, begin: int = 0, size: int = 8192) -> str:
    """The end of a log, at most ``size`` bytes, not reaching back before byte ``begin``."""
    with log.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        stream.seek(max(begin, end - size))
        return stream.read().decode(errors="replace")


_STEP = re.compile(r"Iter\(train\)\s+\[\s*(\d+/\d+)\].*?eta: (.+?)  .*? loss: (\S+)")
_EPOCH = re.compile(r"Epoch\(train\)\s+\[\s*(\d+)\]\[\s*(\d+/\d+)\].*?eta: (.+?)  .*? loss: (\S+)")
_RUNS = re.compile(r"^\[\d+/\d+\] .*")
_BAR = re.compile(r"\s(\d+/\d+) \[[^<\]]*<([\d:]+)")


def progress(text: str) -> str:
    """The newest line of a log that tells how far it is, shortened; empty if there is none."""
    for line in reversed(re.split(r"[\r\n]+", text)):
        if found := _STEP.search(line):
            return f"step {found[1]}, loss {found[3]}, {found[2]} left"
        if found := _EPOCH.search(line):
            return f"epoch {found[1]} step {found[2]}, loss {found[4]}, {found[3]} left"
        if found := _BAR.search(line):
            return f"{found[1]}, {found[2]} left"
        if found := _RUNS.match(line):
            return found[0][:150]
    return ""


def clock(seconds: float) -> str:
    """``75`` is ``1:15``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def shown(command: Sequence[str]) -> str:
    """A command as one would type it: ``python`` for this interpreter, quotes where needed."""
    first = "python" if Path(command[0]).name.startswith("python") else command[0]
    words = [first, *command[1:]]
    return " ".join(f"'{word}'" if re.search(r"[\s'\"*$]", word) else word for word in words)
