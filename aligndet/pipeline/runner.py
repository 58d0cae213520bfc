"""The whole pipeline: check, do every stage that is not done, write the report."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aligndet.common.console import Console, Progress
from aligndet.common.errors import InputError
from aligndet.common.machine import usable_cores
from aligndet.common.signals import SILENT, Stopped, signals_unwind
from aligndet.doctor.versions import deciding_versions
from aligndet.pipeline import checks, plan, run_file
from aligndet.pipeline.codec import from_plain
from aligndet.pipeline.contents import contents
from aligndet.pipeline.process import Place, run_in_process
from aligndet.pipeline.question import Question
from aligndet.pipeline.run_file import DONE, FAILED, INTERRUPTED, RUNNING, RunFile
from aligndet.pipeline.stage import Stage, StageError

GOES_ON = "the same command goes on from here"


@dataclass(frozen=True)
class PretrainResult:
    """What a run made.

    Attributes:
        checkpoint: the plain mmdet checkpoint. finetune_config: a config that loads it.
        report: the page. out: the folder of all.
        metrics: results of the stages as plain data, by name.
    """

    checkpoint: Path
    finetune_config: Path
    report: Path
    out: Path
    metrics: dict[str, Any]


def run_pipeline(
    question: Question, console: Console | None = None, overwrite: bool = False, command: str = ""
) -> PretrainResult:
    """Do the whole job, or go on with it.

    Args:
        question: what is asked.
        console: where progress is told.
        overwrite: delete what another run made in the folder.
        command: as typed, for the report.

    Raises:
        InputError: the question is wrong; no work was done.
        StageError: a stage failed; the same question goes on from there.
    """
    console = console or Console()
    for line in checks.check_question(question):
        console.say(line)
    stages, before = plan.stages(question), _run_to_go_on_with(question, overwrite)
    checked = None
    if not before or before.data["versions"] != deciding_versions():
        console.say("checking every stage's config")
        checked = check_in_process(question)
    with run_file.locked(question.folder), signals_unwind(*SILENT):
        if overwrite:
            _clear(question, stages)
        run = before or run_file.new(question, stages, command)
        if checked:
            _keep_check(run, question, checked, console)
        _to_its_end(run, question, stages, console)
    return result_of(run)


def _run_to_go_on_with(question: Question, overwrite: bool) -> RunFile | None:
    """The run in the out folder; None where there is none, or it will be deleted.

    Raises:
        InputError: the run was asked otherwise, or the folder holds files of somebody else.
    """
    before = run_file.read(question.folder)
    if before is None or overwrite:
        return None
    run_file.refuse_other(before, question, contents(question, before.data.get("files", ())))
    return before


def _to_its_end(run: RunFile, question: Question, stages: list[Stage], console: Console) -> None:
    """Do the stages, and write down how that ended."""
    try:
        _carry_out(run, question, stages, console)
    except BaseException as error:
        _ended(run, question, stages, FAILED if isinstance(error, Exception) else INTERRUPTED, error)
        if isinstance(error, Stopped):
            name = signal.Signals(error.number).name
            raise Stopped(error.number, f"{name}: stopped and saved; {GOES_ON}") from error
        raise
    _ended(run, question, stages, DONE, None)


def dry_run(question: Question) -> tuple[list[Stage], checks.CheckResult, RunFile | None]:
    """Check everything, and do nothing: the stages, how long they are, and the run that is there."""
    checks.check_question(question)
    before = _run_to_go_on_with(question, overwrite=False)
    return plan.stages(question), check_in_process(question), before


def check_in_process(question: Question) -> checks.CheckResult:
    """Build every stage's config in a process of its own, which keeps this one small and quiet.

    Its log stays where it failed otherwise than by a wrong question; the error names it.
    """
    scratch = Path(tempfile.mkdtemp(prefix="aligndet-check-"))
    place = Place(scratch, scratch / "log.txt", None, usable_cores(), question.imports)
    try:
        result = run_in_process("check", f"{checks.__name__}:check_stages", question, place)
    except StageError:
        raise
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    shutil.rmtree(scratch, ignore_errors=True)
    return from_plain(checks.CheckResult, result)


def result_of(run: RunFile) -> PretrainResult:
    """What a run made."""
    return PretrainResult(
        checkpoint=run.folder / "detector.pth",
        finetune_config=run.folder / "finetune.py",
        report=run.folder / "report.html",
        out=run.folder,
        metrics=run.results(),
    )


def _clear(question: Question, stages: list[Stage]) -> None:
    """Delete what a run made.

    Raises:
        InputError: the folder holds files of somebody else.
    """
    before = run_file.read(question.folder)
    if before is None:
        return
    names = [name for entry in before.data["stages"].values() for name in entry.get("outputs", ())]
    run_file.delete(
        question.folder, [*names, *(n for stage in stages for n in stage.outputs), *run_file.WRITTEN]
    )


def _keep_check(run: RunFile, question: Question, checked: checks.CheckResult, console: Console) -> None:
    """Write down what the checks gave."""
    run.data["inputs"] = contents(question, checked.files)
    run.data |= {"versions": deciding_versions(), "files": list(checked.files), "lengths": checked.lengths}
    for text in checked.warnings:
        run.warn(text)
        console.say(f"warning: {text}")
    run.write()


def _carry_out(run: RunFile, question: Question, stages: list[Stage], console: Console) -> None:
    """Do every stage that is not done."""
    run.data["state"] = RUNNING
    marks: dict[str, str] = {}
    for stage in stages:
        key = stage.key(run.data["inputs"], marks)
        if run.is_done(stage, key):
            console.say(f"{stage.title}: done before")
        else:
            run.begin(stage, key)
            _do(run, question, stage, console)
        marks[stage.name] = run.mark(stage.name)


def _do(run: RunFile, question: Question, stage: Stage, console: Console) -> None:
    """Do one stage and keep how it ended."""
    began = time.monotonic()
    state, result, text = INTERRUPTED, None, ""
    try:
        with console.stage(stage.title) as progress:
            result = run_in_process(
                stage.name,
                stage.function,
                stage.request,
                _place(question),
                lambda now: _tell(progress, now),
            )
            _check_outputs(question.folder, stage)
            progress.note = "; ".join(plan.module_of(stage).lines(result))
        state = DONE
    except (InputError, StageError) as error:
        state, text = FAILED, str(error)
        if not stage.optional:
            raise
        run.warn(f"{stage.name}: {error}")
    finally:
        run.end(stage, state, time.monotonic() - began, result, text)
    for warning in (result or {}).get("warnings", ()):
        run.warn(warning)


def _tell(progress: Progress, now: dict[str, Any]) -> None:
    """Pass on what a stage's process tells; without a note, the last one is over."""
    progress.note = now["note"]
    progress.update(now["done"], now["total"], now["note"], now["seconds_left"])


def _check_outputs(folder: Path, stage: Stage) -> None:
    missing = [name for name in (*stage.outputs, *stage.tokens) if not (folder / name).exists()]
    if missing and not stage.partial:
        raise StageError(f"stage '{stage.name}' failed: no {', '.join(missing)} came out of it")


def _place(question: Question) -> Place:
    """Where a stage works."""
    scratch = question.path(run_file.SCRATCH)
    threads = min(8, max(1, usable_cores() // max(1, question.gpus)))
    return Place(scratch, question.path("log.txt"), question.path("metrics.jsonl"), threads, question.imports)


def _ended(
    run: RunFile, question: Question, stages: list[Stage], state: str, error: BaseException | None
) -> None:
    """Keep how the run ended, and write its report."""
    run.data.update(state=state, finished=time.strftime("%Y-%m-%d %H:%M:%S"))
    run.data["error"] = str(error) if isinstance(error, Exception) else ""
    run.write()
    from aligndet.pipeline.report.page import write_report

    try:
        write_report(run, question, stages)
    except Exception as fault:  # the work is done, or has its own error
        run.warn(f"report.html was not written: {type(fault).__name__}: {fault}")
        run.write()
