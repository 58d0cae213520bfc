"""Bad images of a comparison: replaced in training, black in scoring, told with the result, limited."""

from pathlib import Path
from typing import Any

import pytest

from aligndet.common.console import Console
from aligndet.common.images.bad import TooManyBadError
from aligndet.comparison.execute import Outcome
from aligndet.comparison.plan import Planner, Run
from aligndet.comparison.run_config import base_config
from aligndet.comparison.run_one import train_and_score
from aligndet.comparison.settings import EvalSet, Settings, Start
from aligndet.comparison.status import Status
from tests.comparison.test_e2e import write_config
from tests.small_coco import make_coco


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """One run, of which an image to train on is truncated and one to score on is gone."""
    images = tmp_path / "images"
    train, val = EvalSet(make_coco(tmp_path, 4), images), EvalSet(make_coco(tmp_path, 3, seed=1), images)
    write_config(tmp_path / "config.py")
    settings = Settings(
        config=str(tmp_path / "config.py"),
        starts=(Start("random"),),
        train=train,
        report=val,
        tune=val,
        work_dir=tmp_path / "work",
        iters={100.0: 4},
        lrs=(0.001,),
        seeds=1,
        batch=2,
        freeze_backbone=True,
    )
    base, classes = base_config(settings)
    planner = Planner(settings, base, classes, {(100.0, 1): train.annotations})
    made = planner.run(settings.starts[0], 100.0, 0, 0.001, {"report": val})
    assert made.config is not None
    made.folder.mkdir(parents=True)
    made.config.experiment_name = tmp_path.name
    made.config.dump(made.folder / "config.py")
    (images / "1.png").write_bytes((images / "1.png").read_bytes()[:-500])
    (images / "1002.png").unlink()
    return made


def test_a_few_are_told_and_the_run_is_scored(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result: dict[str, Any] = train_and_score(run.folder)
    first, second = result["warnings"]
    assert "images/1.png: OpenCV cannot decode it; another image takes its place (1 of 4 so far" in first
    assert "images/1002.png: no such file; it is tested as a black one (1 of 3 so far" in second
    assert not result["diverged"]
    assert "AP" in result["metrics"]["report"]
    status = Status(Console(quiet=True))
    capsys.readouterr()
    for _ in range(2):
        status.ended(Outcome(run, result["metrics"], warnings=(first, second)))
    assert capsys.readouterr().err.splitlines() == [f"warning: {first}", f"warning: {second}"]
    monkeypatch.setenv("ALIGNDET_MAX_BAD", "0")  # trained already; scored again
    with pytest.raises(TooManyBadError, match=r"1 of 3 images are bad, more than 0 %, .*1002.png"):
        train_and_score(run.folder)


def test_too_many_end_it_saved(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIGNDET_MAX_BAD", "0")
    with pytest.raises(TooManyBadError, match=r"1 of 4 images are bad, .*goes on from .*train/stopped_at_\d"):
        train_and_score(run.folder)
    assert list((run.folder / "train").glob("stopped_at_*.pth"))
