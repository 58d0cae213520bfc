"""Stages in this process: the same requests and results, without the seconds that a new Python takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aligndet.common.errors import InputError
from aligndet.common.files import write_json
from aligndet.pipeline import process, runner
from aligndet.pipeline.codec import as_plain
from aligndet.pipeline.process import Place
from aligndet.pipeline.stage import StageError


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The stages that ran, in order."""
    monkeypatch.setattr("yapf.yapflib.yapf_api.FormatCode", lambda text, **_: (text, True))
    names: list[str] = []

    def call(name: str, function: str, request: Any, place: Place, told: Callable | None = None) -> Any:
        names.append(name)
        content = {"function": function, "request": as_plain(request), "imports": list(place.imports)}
        file = tmp_path / f"{name}.request.json"
        write_json(file, content)
        with monkeypatch.context() as patch:
            patch.setenv(process.STAGE, name)
            if place.metrics:
                patch.setenv(process.METRICS_FILE, str(place.metrics))
            answer = process.work(file)
        error = answer.get("error")
        if error:
            raise (InputError if error["kind"] == "input" else StageError)(error["text"])
        return as_plain(answer["result"])

    monkeypatch.setattr(runner, "run_in_process", call)
    return names
