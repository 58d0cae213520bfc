"""A run of a comparison that is started again goes on from its checkpoint as if nothing had been."""

import shutil
from pathlib import Path

from aligndet.comparison.plan import Planner
from aligndet.comparison.run_config import base_config
from aligndet.comparison.run_one import build_runner
from aligndet.comparison.settings import EvalSet, Settings, Start
from tests.comparison.test_e2e import write_config
from tests.small_coco import make_coco
from tests.training.exact import unequal


def test_a_run_goes_on_exactly(tmp_path: Path) -> None:
    data = EvalSet(make_coco(tmp_path, 6), tmp_path / "images")
    write_config(tmp_path / "config.py")
    settings = Settings(
        config=str(tmp_path / "config.py"),
        starts=(Start("random"),),
        train=data,
        report=data,
        tune=data,
        work_dir=tmp_path / "work",
        iters={50.0: 5},
        lrs=(0.001,),
        seeds=1,
        batch=2,
        save_every=1,
        freeze_backbone=True,
    )
    base, classes = base_config(settings)
    planner = Planner(settings, base, classes, {(50.0, 1): data.annotations})
    config = planner.run(settings.starts[0], 50.0, 0, 0.001, {"report": data}).config
    assert config is not None
    config.default_hooks.checkpoint.max_keep_ckpts = -1
    whole, again = tmp_path / "whole", tmp_path / "again"
    for folder in (whole, again):
        folder.mkdir()
        config.experiment_name = f"{tmp_path.name}_{folder.name}"
        config.dump(folder / "config.py")
    build_runner(whole)[0].train()
    (again / "train").mkdir()
    shutil.copy(whole / "train" / "iter_4.pth", again / "train")
    (again / "train" / "last_checkpoint").write_text(str(again / "train" / "iter_4.pth"))
    runner = build_runner(again)[0]
    runner.train()
    assert runner.iter == 5
    assert not (again / "train" / "iter_3.pth").exists()
    assert not unequal(whole / "train" / "iter_5.pth", again / "train" / "iter_5.pth")
