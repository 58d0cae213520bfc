"""``report.html`` of a run: one page, complete in its numbers, that needs no network."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from aligndet.common.files import write_text
from aligndet.common.progress import clock
from aligndet.pipeline import plan, present
from aligndet.pipeline.question import Question
from aligndet.pipeline.report import charts
from aligndet.pipeline.report.template import PAGE
from aligndet.pipeline.report.verdict import verdict
from aligndet.pipeline.run_file import DONE, RunFile
from aligndet.pipeline.stage import Stage

#: Scalars of a training that are not worth a curve.
NOT_DRAWN = ("step", "total", "time", "seconds_per_step", "seconds_per_step_for_data", "memory")
MOST_CURVES = 8
TEXTS = {
    "proposals": ("Proposals on photos", "The best proposals of some images, red the best, blue the last."),
    "views": (
        "Views with matches",
        "Two views of an image; boxes of one instance have one colour, thick: in both.",
    ),
}


def write_report(run: RunFile, question: Question, stages: Sequence[Stage]) -> Path:
    """Write ``report.html`` of a run that ended, well or not."""
    import jinja2
    from markupsafe import Markup

    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(PAGE)
    results = run.results()
    curves = [(name, [Markup(figure) for figure in figures]) for name, figures in _curves(run.folder)]
    text = page.render(
        title=_title(question),
        data={"finished": "", "command": "", **run.data},
        seconds=clock(sum(entry["seconds"] for entry in run.data["stages"].values())),
        verdict=verdict(run.data, results),
        following=_following(run, question),
        rows=_rows(run, stages),
        retrieval=_retrieval(results),
        curves=curves,
        pictures=list(_pictures(results)),
        asked=[(name, json.dumps(value)) for name, value in run.data["asked"].items() if value],
        log=run.folder / "log.txt",
        **_comparison(results, Markup),
    )
    return _written(run.folder / "report.html", text)


def _title(question: Question) -> str:
    detector = Path(question.detector.rpartition("::")[2]).stem
    return (
        f"AlignDet: {detector} on {'generated images' if question.generate else Path(question.images).name}"
    )


def _written(file: Path, text: str) -> Path:
    write_text(file, text)
    return file


def _following(run: RunFile, question: Question) -> list[str]:
    """What to type next: on with it, or on from it."""
    if run.data["state"] != DONE:
        return [run.data["command"] or "the same call again"]
    return present.next_commands(question)


def _rows(run: RunFile, stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """A row of the table for each stage."""
    rows = []
    for stage in stages:
        entry = run.stage(stage.name)
        result = entry.get("result")
        lines = plan.module_of(stage).lines(result) if result else [entry.get("error", "")]
        row = {"name": stage.name, "state": entry["state"], "lines": lines, "time": clock(entry["seconds"])}
        rows.append(row)
    return rows


def _retrieval(results: dict[str, Any]) -> list[tuple[str, str]]:
    shares = (results.get("evidence") or {}).get("retrieval") or {}
    names = {"before": "before pre-training", "after": "after pre-training", "chance": "by chance"}
    return [(name, f"{100 * shares[key]:.1f}") for key, name in names.items() if key in shares]


def _curves(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Figures of the logged scalars, by stage; losses first."""
    for stage, scalars in read_metrics(folder / "metrics.jsonl").items():
        names = sorted((name for name in scalars if name not in NOT_DRAWN), key=_importance)
        figures = [charts.curve(name, scalars[name]) for name in names[:MOST_CURVES]]
        yield stage, [figure for figure in figures if figure]


def _importance(name: str) -> tuple[int, str]:
    return (0 if name == "loss" else 1 if "loss" in name else 2 if "mAP" in name else 3, name)


def read_metrics(file: Path) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Curves of ``metrics.jsonl`` by stage and scalar; a step that was logged twice counts as logged last."""
    curves: dict[str, dict[str, dict[float, float]]] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            entry = json.loads(line)
            stage, step = entry.pop("stage"), float(entry["step"])
        except (ValueError, KeyError, TypeError):
            continue  # half a line, of a process that was killed
        for name, value in entry.items():
            if isinstance(value, (int, float)):
                curves.setdefault(stage, {}).setdefault(name, {})[step] = float(value)
    return {stage: {k: sorted(v.items()) for k, v in scalars.items()} for stage, scalars in curves.items()}


def _pictures(results: dict[str, Any]) -> Iterator[dict[str, str]]:
    """The pictures of the evidence as data URIs."""
    for name, file in ((results.get("evidence") or {}).get("pictures") or {}).items():
        if Path(file).is_file():
            data = base64.b64encode(Path(file).read_bytes()).decode()
            title, text = TEXTS.get(name, (name, ""))
            yield {"title": title, "text": text, "source": f"data:image/jpeg;base64,{data}"}


def _comparison(results: dict[str, Any], markup: Any) -> dict[str, Any]:
    """Table and figure of the comparison."""
    compared = results.get("compare") or {"arms": [], "baseline": "", "notes": [], "metrics": []}
    compared_arms = [arm for arm in compared["arms"] if arm["difference"]]
    gains = {f"{arm['percent']:g} % of labels": arm["difference"] for arm in compared_arms}
    bounds = {name: (gain["mean"], gain["low"], gain["high"]) for name, gain in gains.items()}
    return {
        "arms": [_arm(arm, compared["metrics"]) for arm in compared["arms"]],
        "measures": compared["metrics"],
        "gains": markup(charts.intervals("AP gained, with 95 % intervals", bounds)) if bounds else "",
        "baseline": compared["baseline"],
        "notes": compared["notes"],
    }


def _arm(arm: dict[str, Any], measures: Sequence[str]) -> dict[str, Any]:
    """A row of the comparison's table as text."""
    gain = arm["difference"]
    bounds = f" [{gain['low']:+.2f}, {gain['high']:+.2f}]" if gain and gain["low"] is not None else ""
    return {
        "percent": f"{arm['percent']:g}",
        "start": arm["start"],
        "scores": [_spread(list(arm["scores"].get(name, {}).values())) for name in measures],
        "seeds": len(next(iter(arm["scores"].values()), {})),
        "lr": f"{arm['lr']:g}",
        "difference": f"{gain['mean']:+.2f}{bounds}" if gain else "",
        "verdict": gain["verdict"] if gain else "",
    }


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "failed"
    return f"{fmean(values):.2f} ± {stdev(values) if len(values) > 1 else 0.0:.2f}"
