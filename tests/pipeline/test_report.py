"""What the page says, by what a run gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aligndet.pipeline.report import charts
from aligndet.pipeline.report.page import read_metrics, write_report
from aligndet.pipeline.report.verdict import verdict
from aligndet.pipeline.run_file import DONE, FAILED, new
from tests.pipeline.test_run_file import asked

GAIN = {"n": 3, "mean": 1.25, "low": 0.4, "high": 2.1, "verdict": "helped"}
COMPARED: dict[str, Any] = {
    "baseline": "random",
    "metrics": ["AP", "AP50"],
    "notes": ["10 %: the chosen rate 0.1 is at the edge of the grid; widen --lr."],
    "arms": [
        {"start": "random", "percent": 10.0, "lr": 0.1, "difference": None,
         "scores": {"AP": {"0": 1.0, "1": 2.0}, "AP50": {"0": 3.0, "1": 5.0}}, "AP": 1.5, "AP50": 4.0},
        {"start": "aligndet", "percent": 10.0, "lr": 0.1, "difference": GAIN,
         "scores": {"AP": {"0": 2.5, "1": 3.0}, "AP50": {"0": 6.0, "1": 8.0}}, "AP": 2.75, "AP50": 7.0},
    ],
}  # fmt: skip


def test_the_verdict_of_a_comparison() -> None:
    told = verdict({"state": DONE, "stages": {}}, {"compare": COMPARED})
    assert told["title"] == "Did it help?"
    assert told["lines"] == [
        "With 10 % of the labels: helped. aligndet is +1.2 AP points over random "
        "(3 paired seeds, 95 % interval +0.4 to +2.1)."
    ]


def test_the_verdict_of_a_failure() -> None:
    stages = {"a": {"state": DONE}, "b": {"state": FAILED, "error": "no disk"}}
    told = verdict({"state": FAILED, "stages": stages}, {})
    assert told["title"] == "The run failed in stage b"
    assert told["lines"][0] == "no disk"


def test_a_page_with_a_comparison(tmp_path: Path) -> None:
    from aligndet.pipeline.stages import compare

    question = asked(tmp_path, train="t.json", val="v.json", box_options={"a": "<b>"})
    stage = compare.plan(question)
    assert stage
    run = new(question, [stage], "aligndet pretrain 'x <y>'")
    run.folder.mkdir()
    run.begin(stage, "key")
    run.end(stage, DONE, 61.0, COMPARED)
    run.data["state"] = DONE
    run.warn("mind <this>")
    write_report(run, question, [stage])
    text = (run.folder / "report.html").read_text()
    for words in ("1.50 ± 0.71", "7.00 ± 1.41", "+1.25 [+0.40, +2.10]", "1:01", "mind &lt;this&gt;"):
        assert words in text
    assert "<b>" not in text
    assert "x <y>" not in text
    assert "edge of the grid" in text


def test_metrics_of_a_process_that_was_killed(tmp_path: Path) -> None:
    """A step that was done twice counts once, and half a line not at all."""
    lines = [{"stage": "a", "step": step, "loss": loss} for step, loss in ((1, 5.0), (2, 4.0), (2, 3.0))]
    text = "\n".join(json.dumps(line) for line in lines) + '\n{"stage": "a", "st'
    (tmp_path / "metrics.jsonl").write_text(text)
    assert read_metrics(tmp_path / "metrics.jsonl")["a"]["loss"] == [(1.0, 5.0), (2.0, 3.0)]
    assert read_metrics(tmp_path / "none.jsonl") == {}


def test_curves() -> None:
    assert charts.curve("loss", [(1.0, float("nan"))]) == ""
    many = charts.curve("loss <x>", [(float(step), 1.0 / step) for step in range(1, 2000)])
    assert "loss &lt;x&gt;" in many
    assert 300 <= many.count(",") <= 620
    assert "step 1999" in many
    assert "<circle" in charts.curve("loss", [(1.0, 2.0)])
    assert ">1536</text>" in charts.curve("positives", [(1.0, 1400.0), (2.0, 1536.0)])


@pytest.mark.parametrize("bounds", [(None, None), (-1.0, 3.0)])
def test_intervals(bounds: tuple[float | None, float | None]) -> None:
    figure = charts.intervals("gain", {"10 %": (1.0, *bounds)})
    assert figure.count('class="curve"') == (0 if bounds[0] is None else 1)
