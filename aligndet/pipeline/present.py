"""What a person reads of a run: the plan before it, the table and the next commands after it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aligndet.common.progress import clock
from aligndet.pipeline import plan
from aligndet.pipeline.checks import CheckResult
from aligndet.pipeline.question import Question
from aligndet.pipeline.run_file import DONE, RunFile
from aligndet.pipeline.stage import Stage


def planned(
    question: Question, stages: Sequence[Stage], checked: CheckResult, before: RunFile | None
) -> list[str]:
    """The plan: every stage, what it reads and writes, how long it is, whether it is done."""
    told = [f"all checks passed; into {near(question.folder)}:"]
    names = {stage.name for stage in stages}
    for stage in stages:
        earlier = [name for name in stage.after if name in names]
        reads = [*earlier, *(name for name in stage.inputs if name in _given(question))]
        done = " (done before)" if before and before.stage(stage.name)["state"] == DONE else ""
        told.append(f"{stage.title}{done}")
        if length := checked.lengths.get(stage.name):
            told.append(f"    {length}")
        told.append(f"    reads {', '.join(reads) or 'nothing'}; writes {', '.join(stage.outputs)}")
    return [*told, *(f"warning: {text}" for text in checked.warnings), "nothing was done (--dry-run)"]


def _given(question: Question) -> set[str]:
    return {name for name, value in question.decisive().items() if value}


def table(stages: Mapping[str, Mapping[str, Any]], modules: Mapping[str, Any]) -> list[str]:
    """One stage a line: result and time.

    Args:
        stages: of ``run.json``. modules: that the stages are written in, by name.
    """
    rows = [("stage", "result", "time")]
    for name, entry in stages.items():
        told = modules[name].lines(entry["result"]) if entry.get("result") else [entry["state"]]
        first, *more = told or [""]
        rows.append((name, first, clock(entry["seconds"])))
        rows += [("", part, "") for part in more]
    rows.append(("all", "", clock(sum(entry["seconds"] for entry in stages.values()))))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    told = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [told[0], "  ".join("-" * width for width in widths), *told[1:]]


def table_of(run: RunFile, stages: Sequence[Stage]) -> list[str]:
    """The table of a run."""
    modules = {stage.name: plan.module_of(stage) for stage in stages}
    return table({name: run.stage(name) for name in modules}, modules)


def closing(question: Question) -> list[str]:
    """Where the detector is, and what to do with it."""
    names = {"detector": "detector.pth", "fine-tune": "finetune.py", "report": "report.html"}
    told = [f"{name:10} {near(question.path(file))}" for name, file in names.items()]
    return [*told, "next:", *(f"  {command}" for command in next_commands(question))]


def next_commands(question: Question) -> list[str]:
    """What to type after a run."""
    finetune, detector = near(question.path("finetune.py")), near(question.path("detector.pth"))
    if question.compare:
        return [shlex.join(["aligndet", "train", finetune])]
    config = question.detector if "::" in question.detector else near(Path(question.detector))
    before = "random="
    if question.weights or question.image_config:
        before = f"image-domain={near(question.path('backbone.pth'))}"
    starts = ["--start", before, "--start", f"aligndet={detector}"]
    files = question.label_files or ("TRAIN.json", "VAL.json")
    labels = ["--train", near(Path(files[0])), "--val", near(Path(files[1]))]
    folder = ["--images", near(Path(question.images)) if Path(question.images).is_dir() else "DIR"]
    own = [word for module in question.imports for word in ("--import", module)]
    compare = shlex.join(["aligndet", "compare", config, *starts, *labels, *folder, *own])
    return [f"aligndet train {shlex.quote(finetune)}", f"{compare}    (did it help?)"]


def near(path: Path) -> str:
    """A path as one types it here: relative where it lies below the current folder."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
