"""A stage in a process of its own: ``python -m aligndet.pipeline.process REQUEST.json RESULT.json``.

The process works in the user's folder, so that relative paths in options and configs mean what they mean to
mmdet. Its output goes to the log. What it gives, or its error, comes back as JSON.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from aligndet.common.errors import InputError
from aligndet.common.files import write_json
from aligndet.common.machine import process_environment
from aligndet.common.modules import import_modules
from aligndet.common.progress import METRICS_FILE, PROGRESS_FILE, STAGE
from aligndet.common.search_path import put_current_folder_last
from aligndet.common.signals import end_with_parent, passed_on
from aligndet.pipeline.codec import as_plain, from_plain
from aligndet.pipeline.stage import StageError

POLL = 0.1

OnProgress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Place:
    """Where a stage's process works.

    Attributes:
        scratch: folder of its request, result and progress.
        log: file that its output is appended to.
        metrics: file that its scalars are appended to.
        threads: of torch.
        imports: modules that are imported first.
    """

    scratch: Path
    log: Path
    metrics: Path | None = None
    threads: int = 1
    imports: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


def run_in_process(
    name: str, function: str, request: Any, place: Place, told: OnProgress | None = None
) -> Any:
    """Call a function in a process of its own and return what it gives, as plain data.

    Args:
        name: of the stage, for errors and metrics.
        function: ``module:name``, of one dataclass.
        request: the dataclass.
        place: where the process works.
        told: called with the content of the progress file whenever that changes.

    Raises:
        InputError: the function raised it; the question is wrong.
        StageError: it raised anything else, or the process died.
    """
    files = {key: place.scratch / f"{name}.{key}.json" for key in ("request", "result", "progress")}
    for file in files.values():
        file.unlink(missing_ok=True)
    content = {"function": function, "request": as_plain(request), "imports": list(place.imports)}
    write_json(files["request"], content)
    place.log.parent.mkdir(parents=True, exist_ok=True)
    with place.log.open("ab") as stream:
        stream.write(f"\n===== {name}: {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
        stream.flush()
        command = [sys.executable, "-m", __name__, str(files["request"]), str(files["result"])]
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=_environment(name, files["progress"], place),
            start_new_session=True,
        )
    with passed_on(process, group=True):
        _wait(process, files["progress"], told)
    return _result(name, process.returncode, files["result"], place.log)


def _environment(name: str, progress: Path, place: Place) -> dict[str, str]:
    """Environment of a stage's process."""
    ours = {PROGRESS_FILE: str(progress), STAGE: name, "PYTHONSAFEPATH": "1", **place.environment}
    environment = process_environment(place.threads) | ours
    environment.pop(METRICS_FILE, None)
    return environment | ({METRICS_FILE: str(place.metrics)} if place.metrics else {})


def _wait(process: subprocess.Popen[bytes], progress: Path, told: OnProgress | None) -> None:
    """Wait for a process, and tell its progress."""
    seen = 0
    while process.poll() is None:
        time.sleep(POLL)
        if told is None:
            continue
        with contextlib.suppress(OSError, ValueError):
            now = progress.stat().st_mtime_ns
            if now != seen:
                seen = now
                told(json.loads(progress.read_text()))


def _result(name: str, code: int, file: Path, log: Path) -> Any:
    """What a process left: its result, or its error raised again."""
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        said = f"its process ended with {_status(code)}"
        raise StageError(failure(name, said, log)) from None
    error = content.get("error")
    if error and error["kind"] == "input":
        raise InputError(error["text"])
    if error:
        raise StageError(failure(name, error["text"], log))
    return content["result"]


def _status(code: int) -> str:
    if code == -signal.SIGKILL:
        return "SIGKILL (out of memory?)"
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def failure(name: str, text: str, log: Path) -> str:
    """One line on a failed stage: its name, the last error, the log."""
    return f"stage '{name}' failed: {' '.join(text.split())[:600]} (log: {log})"


def work(request: Path) -> dict[str, Any]:
    """Do what a request file asks; the content of the result file."""
    content = json.loads(request.read_text())
    try:
        import_modules(content["imports"])
        module, _, name = content["function"].partition(":")
        function = getattr(importlib.import_module(module), name)
        kind = next(iter(get_type_hints(function).values()))
        return {"result": as_plain(function(from_plain(kind, content["request"])))}
    except InputError as error:
        traceback.print_exc()
        return {"error": {"kind": "input", "text": str(error)}}
    except Exception as error:
        traceback.print_exc()
        return {"error": {"kind": "failure", "text": f"{type(error).__name__}: {error}"}}


def main(argv: list[str]) -> int:
    """Do one stage."""
    end_with_parent(os.getppid())
    put_current_folder_last()
    request, result = map(Path, argv)
    write_json(result, work(request))
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)
