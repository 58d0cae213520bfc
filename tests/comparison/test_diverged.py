"""A run whose rate is too high counts as diverged, and scores nothing."""

from pathlib import Path

import pytest
import torch

from aligndet.comparison.plan import Planner, write_run
from aligndet.comparison.run_config import base_config
from aligndet.comparison.run_one import train_and_score
from aligndet.comparison.score import no_scores
from aligndet.comparison.settings import EvalSet, Settings, Start
from tests.comparison.test_e2e import write_config
from tests.small_coco import make_coco


def test_a_rate_that_is_too_high_diverges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = EvalSet(make_coco(tmp_path, 6), tmp_path / "images")
    write_config(tmp_path / "config.py")
    settings = Settings(
        config=str(tmp_path / "config.py"),
        starts=(Start("random"),),
        train=data,
        report=data,
        tune=data,
        work_dir=tmp_path / "work",
        iters={50.0: 9},
        lrs=(1e12,),
        seeds=1,
        batch=2,
        save_every=1,
        nan_patience=2,
    )
    run = Planner(settings, *base_config(settings), {(50.0, 1): data.annotations}).run(
        settings.starts[0], 50.0, 0, 1e12, {"report": data}
    )
    write_run(run)
    result = train_and_score(run.folder)
    assert result["diverged"]
    assert result["metrics"] == {"report": no_scores()}
    told = capsys.readouterr().out
    assert "diverged: 2 steps in a row were not finite (--nan-patience 2)" in told
    assert f"images {tmp_path}/images/" in told
    (last,) = (run.folder / "train").glob("iter_*.pth")
    state = torch.load(last, weights_only=False)["state_dict"]
    assert all(value.isfinite().all() for value in state.values())
