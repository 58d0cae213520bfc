"""From outcomes to table, verdict, notes, files."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aligndet.common.errors import InputError
from aligndet.comparison.execute import Outcome
from aligndet.comparison.metrics import METRICS, Metric
from aligndet.comparison.plan import Run
from aligndet.comparison.question import parse_iters, parse_start
from aligndet.comparison.report import to_markdown, write_report
from aligndet.comparison.results import Results, gather
from aligndet.comparison.score import coco_scores
from aligndet.comparison.settings import EvalSet, Settings, Start
from tests.small_coco import make_coco

PLACE = EvalSet(Path("report.json"), Path("images"))
ASK = Settings(
    config="c.py",
    starts=(Start("random"), Start("aligndet", Path("a.pth"))),
    train=PLACE,
    report=PLACE,
    tune=EvalSet(Path("tune.json"), Path("images")),
    work_dir=Path("w"),
    iters={10.0: 5},
    lrs=(0.1, 0.05, 0.01),
)


def outcome(start: str, seed: int, ap: float, lr: float = 0.05, **more: object) -> Outcome:
    run = Run(start, 10.0, seed, lr, 5, Path(f"{start}{seed}"), {})
    metrics = (
        {} if more.get("error") else {"report": {"AP": ap, "AP50": 2 * ap}, "tune": {"AP": ap, "AP50": ap}}
    )
    return Outcome(run, metrics, **more)  # type: ignore[arg-type]


def results(gain: float = 0.02, lr: float = 0.05) -> Results:
    base = [0.10, 0.14, 0.12]
    finals = [outcome("random", s, ap) for s, ap in enumerate(base)]
    finals += [outcome("aligndet", s, ap + gain + 0.001 * s, lr) for s, ap in enumerate(base)]
    return gather(finals, [outcome("random", 0, 0.1)], ASK, {"config": "c.py"})


def test_paired_difference_in_points() -> None:
    random, aligndet = results().arms
    assert random.difference is None
    assert aligndet.difference is not None
    assert aligndet.difference.mean == pytest.approx(2.1)
    assert aligndet.difference.verdict == "helped"
    spread = random.spread()
    assert spread is not None
    assert (spread.mean, spread.std) == (pytest.approx(12.0), pytest.approx(2.0))


def test_markdown_shows_means_interval_and_verdict() -> None:
    text = to_markdown(results())
    row = next(line for line in text.splitlines() if "aligndet" in line and "helped" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        "10 %",
        "aligndet",
        "14.10 ± 2.05",
        "28.20",
        "3",
        "0.05",
        "+2.10 [+1.85, +2.35]",
        "helped",
    ]
    assert "hurt" in to_markdown(results(gain=-0.05))


def test_edge_of_grid_is_told() -> None:
    assert not any("edge" in note for note in results().notes)
    notes = results(lr=0.01).notes
    assert any("aligndet at 10 %" in note and "edge" in note for note in notes)


def test_choosing_on_the_reported_images_is_told() -> None:
    shared = replace(ASK, tune=ASK.report)
    found = gather([outcome("random", 0, 0.1)], [], shared, {})
    assert any("chosen on the images that AP is reported on" in note for note in found.notes)


def test_failed_seed_is_left_out_of_the_pairs_and_told() -> None:
    finals = [outcome("random", s, 0.1) for s in range(3)]
    finals += [outcome("aligndet", 0, 0.2), outcome("aligndet", 1, 0.2), outcome("aligndet", 2, 0, error="x")]
    found = gather(finals, [], ASK, {})
    assert found.arms[1].difference is not None
    assert found.arms[1].difference.n == 2
    assert found.arms[1].difference.verdict.startswith("no evidence")
    assert any("no result for seeds [2]" in note for note in found.notes)


def test_divergence_counts_as_zero_and_is_told() -> None:
    found = gather([outcome("random", 0, 0.0, diverged=True)], [], ASK, {})
    assert found.arms[0].ap == {0: 0.0}
    assert any("diverged with seeds [0]" in note for note in found.notes)


def test_zero_everywhere_is_told() -> None:
    found = gather([outcome("random", 0, 0.0), outcome("aligndet", 0, 0.0)], [], ASK, {})
    assert any("AP is 0 for every start" in note for note in found.notes)
    assert not any("AP is 0" in note for note in results().notes)


def test_files(tmp_path: Path) -> None:
    single = gather([outcome("random", 0, 0.1), outcome("aligndet", 0, 0.2)], [], ASK, {})
    for found in (results(), single):
        write_report(found, tmp_path)
        data = json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)
        assert data["baseline"] == "random"
        assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert data["arms"][1]["difference"] == pytest.approx(
        {"n": 1, "mean": 10.0, "low": None, "high": None, "verdict": "no evidence (too few seeds)"}
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plot.png", "results.json", "results.md"]


def test_all_seeds_failed_still_reports(tmp_path: Path) -> None:
    finals = [outcome("random", 0, 0.1), outcome("aligndet", 0, 0, error="x")]
    assert "failed" in write_report(gather(finals, [], ASK, {}), tmp_path)


def test_a_measure_more_is_one_entry_in_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scoring, results, table, json and the deciding measure follow the list."""
    more = Metric("AP75", lambda measured: measured.stats[2])
    monkeypatch.setattr("aligndet.comparison.metrics.METRICS", [more, *METRICS])
    finals = [
        Outcome(
            Run(start, 10.0, seed, 0.1, 5, Path(f"{start}{seed}"), {}),
            {"report": {"AP": 0.5, "AP50": 0.6, "AP75": ap + 0.01 * seed}},
        )
        for start, ap in (("random", 0.1), ("aligndet", 0.2))
        for seed in range(3)
    ]
    text = write_report(gather(finals, [], ASK, {}), tmp_path)
    header, _, first, second = (line for line in text.splitlines() if line.startswith("|"))
    assert [cell.strip() for cell in header.split("|")][3:6] == ["AP75 ± std", "AP", "AP50"]
    assert "| 11.00 ± 1.00 | 50.00 | 60.00 |" in first
    assert "+10.00 [+10.00, +10.00] | helped" in second
    arm = json.loads((tmp_path / "results.json").read_text())["arms"][0]
    assert (arm["AP75"], arm["scores"]["AP75"]) == (
        pytest.approx(11),
        pytest.approx({"0": 10, "1": 11, "2": 12}),
    )

    annotations = make_coco(tmp_path, 3)
    boxes = json.loads(annotations.read_text())["annotations"]
    exact = [{k: box[k] for k in ("image_id", "category_id", "bbox")} | {"score": 0.9} for box in boxes]
    assert coco_scores(annotations, exact) == pytest.approx({"AP75": 1.0, "AP": 1.0, "AP50": 1.0})


def test_baseline_is_the_start_without_checkpoint() -> None:
    starts = (Start("x", Path("x.pth")), Start("random"))
    assert replace(ASK, starts=starts).baseline.name == "random"
    assert replace(ASK, starts=starts[:1]).baseline.name == "x"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["200"], {1.0: 200, 10.0: 200}),
        (["10:300", "50"], {1.0: 50, 10.0: 300}),
        (200, {1.0: 200, 10.0: 200}),
        ({1: 5, 10.0: 7}, {1.0: 5, 10.0: 7}),
    ],
)
def test_iters(words: Any, expected: dict[float, int]) -> None:
    assert parse_iters(words, [10.0, 1.0]) == expected


@pytest.mark.parametrize(("words", "match"), [(["1:x"], "PERCENT:ITERS"), (["10:5"], "nothing about 1 %")])
def test_bad_iters(words: list[str], match: str) -> None:
    with pytest.raises(InputError, match=match):
        parse_iters(words, [1.0, 10.0])


def test_start_words(tmp_path: Path) -> None:
    (tmp_path / "a.pth").touch()
    assert parse_start("random=") == Start("random")
    assert parse_start(f"x={tmp_path}/a.pth") == Start("x", tmp_path / "a.pth")
    with pytest.raises(InputError, match="NAME=CHECKPOINT"):
        parse_start("a/b=")
    with pytest.raises(InputError, match="no file"):
        parse_start("x=missing.pth")
