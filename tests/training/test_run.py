"""Training from a config: resume, a cap on steps, results as data, mixed precision, two processes."""

import io
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from aligndet.common.console import Console
from aligndet.common.errors import InputError
from aligndet.training.run import load_config, train
from tests.box_domain.data.test_dataset import write
from tests.command import command
from tests.small import detector
from tests.training.poison import moved, not_finite_in

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """A pre-training of a tiny FCOS on two generated images."""
    proposals = write(tmp_path, [[4, 4, 30, 30], [30, 20, 28, 40], [10, 30, 34, 24]])
    text = proposals.read_text().replace('"image_id": 0, "bbox": [30', '"image_id": 1, "bbox": [30')
    proposals.write_text(text)
    model = detector("fcos")
    model.backbone.update(base_channels=8)
    model.neck.update(in_channels=[8, 16, 32, 64], out_channels=32)
    norm = {"type": "GN", "num_groups": 4}
    model.bbox_head.update(in_channels=32, feat_channels=32, stacked_convs=1, norm_cfg=norm)
    stock = tmp_path / "detector.py"
    Config({"model": model}).dump(stock)
    path = tmp_path / "pretrain.py"
    path.write_text(
        f"""
_base_ = ['{ROOT}/configs/_base_/two_views.py', '{ROOT}/configs/_base_/pretrain_1x.py']
model = dict(type='aligndet.BoxDomainPretrainer', detector='{stock}', adapter=dict(num_slots=64))
view = [
    dict(type='RandomChoiceResize', scales=[(64, 64), (96, 96)], keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='aligndet.PackView'),
]
train_dataloader = dict(
    batch_size=1, num_workers=0, persistent_workers=False, batch_sampler=None,
    dataset=dict(
        ann_file='{proposals}', data_prefix=dict(img='{tmp_path}/images'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='aligndet.NumberProposals'),
            dict(type='MultiBranch', branch_field=['online', 'momentum'], online=view, momentum=view),
        ]))
train_cfg = dict(max_epochs=2)
env_cfg = dict(dist_cfg=dict(backend='gloo'))
"""
    )
    return path


def run(folder: Path, *command: object) -> str:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHON": sys.executable}
    done = subprocess.run(
        [str(part) for part in command], env=env, capture_output=True, text=True, timeout=300, cwd=folder
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def load(config_file: Path, work: Path, **options: object) -> Config:
    config = load_config(str(config_file), {key.replace("__", "."): value for key, value in options.items()})
    config.work_dir, config.experiment_name = str(work), work.name + str(time.time())
    return config


def state(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, map_location="cpu", weights_only=False)["state_dict"]


def test_a_run_is_resumed_with_its_momentum_network(config_file: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    train(load(config_file, work, train_cfg__max_epochs=1))
    first = state(work / "epoch_1.pth")
    name = "neck.lateral_convs.0.conv.weight"
    assert not torch.equal(first[f"online.{name}"], first[f"momentum.{name}"]), "it follows, it does not copy"
    result = train(load(config_file, work), resume="auto")
    assert (result.iters, result.checkpoint) == (4, work / "epoch_2.pth")
    second = state(work / "epoch_2.pth")
    assert not torch.equal(second[f"online.{name}"], second[f"momentum.{name}"]), "kept, not copied anew"
    backbone = "online.backbone.conv1.weight"
    assert torch.equal(first[backbone], second[backbone])


def test_the_checkpoint_carries_the_whole_detector_config(config_file: Path) -> None:
    config = load_config(str(config_file))
    assert config.model.detector.type == "FCOS"
    assert config.model.detector.bbox_head.feat_channels == 32
    assert "FCOS" in config.pretty_text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="mmengine's AmpOptimWrapper needs a GPU")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mixed_precision_flags(dtype: str, config_file: Path, tmp_path: Path) -> None:
    config = load_config(str(config_file), {"train_cfg.max_epochs": 1})
    config.work_dir = str(tmp_path / "amp")
    train(config, amp=dtype)
    assert config.optim_wrapper.type == "AmpOptimWrapper"
    assert config.optim_wrapper.get("loss_scale") == ("dynamic" if dtype == "float16" else None)
    assert all(v.isfinite().all() for v in state(tmp_path / "amp" / "epoch_1.pth").values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
def test_mixed_precision_without_a_gpu_is_refused(config_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a GPU"):
        train(load(config_file, tmp_path / "work"), amp="bfloat16")


def test_two_processes_keep_one_model(config_file: Path, tmp_path: Path) -> None:
    """DDP over gloo: gradients are shared, so a run on two processes ends; its checkpoint is whole."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ["PORT"] = str(free.getsockname()[1])
    work = tmp_path / "ddp"
    out = run(tmp_path, "bash", ROOT / "tools" / "dist_train.sh", config_file, 2, "--work-dir", "ddp")
    assert "ddp/epoch_2.pth: 2 iterations" in out
    assert out.count("ddp/log.txt") == 1, "one of the processes speaks"
    assert "Saving checkpoint at 2 epochs" in (work / "log.txt").read_text()
    assert (work / "log.rank1.txt").is_file()
    assert all(v.isfinite().all() for v in state(work / "epoch_2.pth").values())


def test_a_missing_config_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.py"):
        load_config("nowhere.py")


def test_a_cap_runs_the_beginning_of_the_whole_run(config_file: Path, tmp_path: Path) -> None:
    """Three steps end in the middle of the second epoch of two; the schedule is that of the whole run."""
    result = train(load(config_file, tmp_path / "short"), max_iters=3)
    last = tmp_path / "short" / "iter_3.pth"
    assert (result.iters, result.checkpoint) == (3, last)
    assert torch.load(last, weights_only=False)["meta"]["iter"] == 3
    hooks = {"default_hooks.checkpoint": {"type": "CheckpointHook", "interval": 3, "by_epoch": False}}
    whole = train(load(config_file, tmp_path / "whole", **hooks))
    assert whole.iters == 4
    same = state(tmp_path / "whole" / "iter_3.pth")
    assert all(torch.equal(value, same[name]) for name, value in state(last).items())


def test_a_cap_above_the_length_changes_nothing(config_file: Path, tmp_path: Path) -> None:
    result = train(load(config_file, tmp_path / "work"), max_iters=100)
    assert result.iters == 4
    assert result.checkpoint == tmp_path / "work" / "iter_4.pth"


def test_a_cap_ends_a_run_that_counts_steps(config_file: Path, tmp_path: Path) -> None:
    config = load(config_file, tmp_path / "work")
    config.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": 50, "val_interval": 10}
    config.train_dataloader.sampler = {"type": "InfiniteSampler"}
    config.param_scheduler = []
    result = train(config, max_iters=2)
    assert (result.iters, result.checkpoint) == (2, tmp_path / "work" / "iter_2.pth")


def test_progress_and_scalars_are_plain_data(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {key: tmp_path / f"{key}.json" for key in ("progress", "metrics")}
    for key, file in files.items():
        monkeypatch.setenv(f"ALIGNDET_{key.upper()}_FILE", str(file))
    monkeypatch.setenv("ALIGNDET_STAGE", "box domain")
    shown = io.StringIO()
    config = load(config_file, tmp_path / "work", default_hooks__logger__interval=1)
    result = train(config, console=Console(stream=shown, interval=0.0))
    lines = [json.loads(line) for line in files["metrics"].read_text().splitlines()]
    assert [(line["stage"], line["step"], line["total"]) for line in lines] == [
        ("box domain", step, 4) for step in (1, 2, 3, 4)
    ]
    for line, scalars in ((lines[0], result.first), (lines[-1], result.last)):
        assert {key: line[key] for key in scalars} == scalars
    assert {"loss", "loss_contrast", "lr", "positives", "momentum"} <= set(result.first)
    assert abs(lines[-1]["time"] - time.time()) < 300
    progress = json.loads(files["progress"].read_text())
    assert (progress["done"], progress["total"]) == (4, 4)
    assert progress["note"] == f"loss {result.last['loss']:.4g}"
    told = shown.getvalue().splitlines()
    assert any(line.startswith("box domain: 3/4 · loss ") and line.endswith("left") for line in told)
    assert told[-1].startswith("box domain: done in ")


def test_a_bad_step_moves_neither_network(config_file: Path, tmp_path: Path) -> None:
    config = load(config_file, tmp_path)
    config.model.detector.neck.norm_cfg = {"type": "BN"}
    config.train_dataloader.batch_size, config.train_cfg.max_epochs = 2, 4
    config.custom_hooks = [*config.custom_hooks, {"type": "Poison", "steps": [2]}]
    config.default_hooks.checkpoint = {"type": "CheckpointHook", "by_epoch": False, "interval": 1}
    result = train(config, nan_patience=2)
    assert moved(tmp_path, 1, 2) == []
    assert not_finite_in(tmp_path / "iter_4.pth") == []
    names = moved(tmp_path, 2, 3)
    for part in ("online.neck", "momentum.neck", "running_mean", "/optimizer/state/"):
        assert any(part in name for name in names), part
    (told,) = result.warnings
    assert told.startswith("step 2: loss nan (")
    assert f", images {tmp_path}/images/" in told
    assert ", learning rate " in told
    assert told.endswith(": not applied")


def test_bad_steps_in_a_row_end_the_command_in_one_line(
    config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with config_file.open("a") as stream:
        stream.write("custom_hooks = [dict(type='Poison', steps=[2, 3, 4])]\n")
        stream.write("default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1))\n")
    words = ["--work-dir", tmp_path / "work", "--nan-patience", 2]
    assert command("train")([config_file, *words]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("aligndet train: failed: DivergedError: 2 steps in a row were not finite")
    assert "step 3: loss nan" in line
    assert f"{tmp_path}/images/" in line
    assert "learning rate" in line
    assert f"the last good checkpoint is {tmp_path}/work/iter_2.pth" in line
    assert not_finite_in(tmp_path / "work" / "iter_2.pth") == []


def test_without_a_seed_of_the_config_runs_are_equal(config_file: Path, tmp_path: Path) -> None:
    runs = [train(load(config_file, tmp_path / name), max_iters=1) for name in "ab"]
    assert runs[0].first["loss"] == runs[1].first["loss"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": {"type": "Nobody"}}, "Nobody"),
        ({"train_dataloader.dataset.ann_file": "gone.json"}, "gone.json"),
        ({"model.tempereture": 1}, r"tempereture.*did you mean 'temperature'"),
        ({"model.adapter.num_slot": 1}, r"num_slot.*did you mean 'num_slots'"),
        ({"custom_hooks.0.bas": 1}, r"bas.*did you mean 'base'"),
        ({"custom_hooks.0.type": "aligndet.MomentumHok"}, r"did you mean 'aligndet\.MomentumHook'"),
        ({"optim_wrapper": None}, "no optim_wrapper"),
        ({"optim_wrapper.optimizer.lr": "quick"}, "TypeError"),
        ({"train_cfg.max_epochs": ""}, "invalid literal"),
        ({"load_from": "gone.pth"}, r"load_from: gone\.pth: no such file"),
        (
            {"model.detector.backbone.init_cfg": {"type": "Pretrained", "checkpoint": "gone.pth"}},
            r"model\.detector\.backbone\.init_cfg\.checkpoint: gone\.pth",
        ),
    ],
)
def test_what_cannot_be_built_is_the_question_s_fault(
    change: dict, words: str, config_file: Path, tmp_path: Path
) -> None:
    config = load(config_file, tmp_path / "work")
    config.merge_from_dict(change)
    with pytest.raises(InputError, match=words):
        train(config)


def test_fewer_images_than_a_batch_is_an_error_not_an_untrained_checkpoint(
    config_file: Path, tmp_path: Path
) -> None:
    options = {"train_dataloader.batch_size": 8, "train_dataloader.drop_last": True}
    config = load_config(str(config_file), options)
    config.work_dir = str(tmp_path / "empty")
    with pytest.raises(ValueError, match="batch_size"):
        train(config)


def test_auto_scale_lr_needs_a_base(config_file: Path, tmp_path: Path) -> None:
    config = load_config(str(config_file))
    config.pop("auto_scale_lr")
    config.work_dir = str(tmp_path)
    with pytest.raises(ValueError, match="base_batch_size"):
        train(config, auto_scale_lr=True)
