"""A run's config and key: data, classes, schedule and seed are put in; the key follows what decides."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.structures import InstanceData

from aligndet.common.configs import read_config
from aligndet.common.console import Console
from aligndet.common.errors import InputError
from aligndet.common.labels.reader import class_names, read_labels
from aligndet.comparison.compare import compare
from aligndet.comparison.hooks import FreezeBackboneHook, WatchHook
from aligndet.comparison.plan import Planner, run_key
from aligndet.comparison.question import default_lrs
from aligndet.comparison.run_config import base_config, schedulers
from aligndet.comparison.score import coco_results, coco_scores
from aligndet.comparison.settings import EvalSet, Settings, Start
from aligndet.transfer.finetune import dataset_leaf, set_num_classes
from tests.small import STOCK
from tests.small_coco import make_coco


@pytest.fixture
def ask(tmp_path: Path) -> Settings:
    """A comparison of two starts on a tiny data set, with the stock Mask R-CNN config."""
    train, val = make_coco(tmp_path, 10), make_coco(tmp_path, 4, seed=1)
    config = tmp_path / "config.py"
    config.write_text(f"_base_ = {STOCK['mask_rcnn']!r}")
    (tmp_path / "x.pth").write_bytes(b"weights")
    data = EvalSet(val, tmp_path / "images")
    return Settings(
        config=str(config),
        starts=(Start("random"), Start("x", tmp_path / "x.pth")),
        train=EvalSet(train, tmp_path / "images"),
        report=data,
        tune=data,
        work_dir=tmp_path / "work",
        iters={10.0: 90, 50.0: 90},
        lrs=(0.02, 0.01),
        seeds=2,
        batch=4,
    )


def planner(ask: Settings) -> Planner:
    base, classes = base_config(ask)
    labels = {(p, fold): ask.train.annotations for p in ask.iters for fold in (1, 2)}
    return Planner(ask, base, classes, labels)


def test_classes_and_data_reach_every_part(ask: Settings) -> None:
    run = planner(ask).run(ask.starts[1], 10.0, 1, 0.01, {"report": ask.report})
    config: Any = run.config
    assert config.model.roi_head.bbox_head.num_classes == config.model.roi_head.mask_head.num_classes == 2
    data = config.train_dataloader.dataset
    assert data.type == "mmdet.CocoDataset"
    assert data.metainfo.classes == ("red", "green")
    assert Path(data.ann_file) == ask.train.annotations.resolve()
    assert [step.type for step in data.pipeline][:2] == ["LoadImageFromFile", "LoadAnnotations"]
    assert config.train_dataloader.batch_size == 4
    assert config.optim_wrapper.optimizer.lr == 0.01
    assert config.randomness.seed == config.train_dataloader.sampler.seed == 1
    assert config.load_from == str(ask.starts[1].checkpoint)
    assert config.train_cfg.type == "IterBasedTrainLoop"


def test_all_starts_train_alike(ask: Settings) -> None:
    """Two starts of one seed differ in load_from and nothing else."""
    plan = planner(ask)
    first, second = (plan.run(start, 10.0, 0, 0.01, {}).config for start in ask.starts)
    assert first is not None
    assert second is not None
    one, two = first.to_dict(), second.to_dict()
    assert {key for key in one if one[key] != two[key]} == {"load_from"}


def test_run_config_is_complete_python(ask: Settings, tmp_path: Path) -> None:
    config = planner(ask).run(ask.starts[0], 10.0, 0, 0.01, {"report": ask.report}).config
    assert config is not None
    config.dump(str(tmp_path / "dumped.py"))
    assert run_key(Config.fromfile(tmp_path / "dumped.py")) == run_key(config)


def test_key_follows_contents_not_names(ask: Settings, tmp_path: Path) -> None:
    def key(changed: Settings, lr: float = 0.01, seed: int = 0, start: int = 1) -> str:
        return planner(changed).run(changed.starts[start], 10.0, seed, lr, {}).folder.name.split("-")[-1]

    first = key(ask)
    (tmp_path / "copy.pth").write_bytes(b"weights")
    (tmp_path / "other.pth").write_bytes(b"other weights")
    copied = replace(ask, starts=(Start("random"), Start("x", tmp_path / "copy.pth")))
    other = replace(ask, starts=(Start("random"), Start("x", tmp_path / "other.pth")))
    assert key(copied) == first, "the same weights under another name"
    assert key(replace(ask, work_dir=tmp_path / "elsewhere", threads=2, workers=2, save_every=7)) == first
    changes = [key(other), key(ask, lr=0.02), key(ask, seed=1), key(ask, start=0), key(replace(ask, batch=2))]
    changes.append(key(replace(ask, schedule="cosine")))
    changes.append(key(replace(ask, freeze_backbone=True)))
    changes.append(key(replace(ask, iters={10.0: 91})))
    changes.append(key(replace(ask, cfg_options={"model.rpn_head.loss_cls.loss_weight": 2.0})))
    assert len({first, *changes}) == len(changes) + 1
    content = json.loads(ask.train.annotations.read_text())
    content["annotations"].pop()
    ask.train.annotations.write_text(json.dumps(content))
    assert key(ask) != first, "other labels"


def test_search_covers_grid_and_final_covers_seeds(ask: Settings) -> None:
    plan = planner(ask)
    search = [(r.start, r.percent, r.seed, r.lr) for r in plan.search()]
    assert sorted(search) == sorted(
        (s, p, 0, lr) for s in ("random", "x") for p in (10.0, 50.0) for lr in (0.02, 0.01)
    )
    final = plan.final({("random", 10.0): 0.02, ("x", 10.0): 0.01})
    assert [(r.start, r.seed, r.lr) for r in final] == [
        ("random", 0, 0.02),
        ("x", 0, 0.01),
        ("random", 1, 0.02),
        ("x", 1, 0.01),
    ]
    assert final[0].folder in {run.folder for run in plan.search()}, "the search's run is used again"
    assert planner(replace(ask, lrs=(0.1,))).search() == []


def test_proposal_network_and_backbone_keep_their_classes() -> None:
    model = read_config(STOCK["faster_rcnn"]).model
    model.rpn_head.num_classes = 1
    model.backbone.num_classes = 1000
    assert set_num_classes(model, 7) == 1
    assert (model.rpn_head.num_classes, model.backbone.num_classes) == (1, 1000)


def test_wrapped_and_joined_data_sets() -> None:
    leaf = {"type": "CocoDataset", "ann_file": "a"}
    assert dataset_leaf({"type": "RepeatDataset", "dataset": leaf}) is leaf
    assert dataset_leaf({"type": "ConcatDataset", "datasets": [leaf]}) is leaf
    with pytest.raises(InputError, match="joins 2 data sets"):
        dataset_leaf({"type": "ConcatDataset", "datasets": [leaf, leaf]})


def test_disagreeing_categories_are_named(tmp_path: Path) -> None:
    first = make_coco(tmp_path, 1)
    second = make_coco(tmp_path, 1, seed=1)
    content = json.loads(second.read_text())
    content["categories"].reverse()
    second.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"1\.json: its categories are \['green', 'red'\]"):
        class_names(read_labels(first), read_labels(second))


def test_a_config_without_training_is_refused(ask: Settings, tmp_path: Path) -> None:
    Path(ask.config).write_text("model = dict(bbox_head=dict(num_classes=3))")
    with pytest.raises(InputError, match="train_dataloader"):
        base_config(ask)


def test_schedule_milestones() -> None:
    warm, decay = schedulers(900, "step")
    assert (warm["end"], decay["milestones"]) == (90, [600, 800])
    assert schedulers(90000, "cosine")[0]["end"] == 500
    assert schedulers(4, "step")[0]["end"] == 1


def test_default_rates_scale_with_the_batch() -> None:
    config = read_config(STOCK["retinanet"])
    assert default_lrs(config, 16) == (0.02, 0.01, 0.005, 0.0025)
    assert default_lrs(config, 8) == (0.01, 0.005, 0.0025, 0.00125)


def test_perfect_half_and_no_detections(tmp_path: Path) -> None:
    path = make_coco(tmp_path, 4)
    boxes = json.loads(path.read_text())["annotations"]
    exact = [{k: box[k] for k in ("image_id", "category_id", "bbox")} | {"score": 0.9} for box in boxes]
    assert coco_scores(path, exact) == {"AP": pytest.approx(1.0), "AP50": pytest.approx(1.0)}
    red_only = [entry for entry in exact if entry["category_id"] == 5]
    assert coco_scores(path, red_only)["AP"] == pytest.approx(0.5)
    assert coco_scores(path, []) == {"AP": 0.0, "AP50": 0.0}


def test_results_are_xywh_with_the_files_category_ids() -> None:
    class Detector(torch.nn.Module):
        def test_step(self, batch: Any) -> list[Any]:
            found = InstanceData(
                bboxes=torch.tensor([[1.0, 2.0, 11.0, 22.0]]),
                scores=torch.tensor([0.5]),
                labels=torch.tensor([1]),
            )
            return [SimpleNamespace(img_id=7, pred_instances=found)]

    class Loader(list):
        dataset = SimpleNamespace(cat_ids=[5, 6])

    assert coco_results(Detector(), Loader([None])) == [
        {"image_id": 7, "bbox": [1.0, 2.0, 10.0, 20.0], "score": 0.5, "category_id": 6}
    ]


def test_a_run_ends_when_its_starter_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner: Any = SimpleNamespace(iter=4, max_iters=20, model=torch.nn.Linear(2, 1))
    hook = WatchHook(tmp_path / "progress.json")
    hook.before_train(runner)
    hook.after_train_iter(runner, 4)
    monkeypatch.setattr("os.getppid", lambda: 1)
    with pytest.raises(SystemExit, match="is gone"):
        hook.after_train_iter(runner, 4)


def test_a_fraction_without_boxes_is_refused(ask: Settings) -> None:
    content = json.loads(ask.train.annotations.read_text())
    content["annotations"] = []
    ask.train.annotations.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"0\.json: not one box in it"):
        compare(replace(ask, starts=ask.starts[:1]), Console(quiet=True))


def test_the_last_step_is_reported(tmp_path: Path) -> None:
    runner: Any = SimpleNamespace(iter=19, max_iters=20)
    hook = WatchHook(tmp_path / "progress.json")
    hook.before_train(runner)
    hook.after_train_iter(runner, 19)
    assert json.loads((tmp_path / "progress.json").read_text())["iter"] == 20


def test_patience_decides_a_run_where_it_is_not_the_usual(ask: Settings) -> None:
    first, same, other = (
        planner(replace(ask, nan_patience=patience)).run(ask.starts[0], 10.0, 0, 0.01, {}).config
        for patience in (ask.nan_patience, 3, 5)
    )
    assert first is not None
    assert same is not None
    assert other is not None
    assert run_key(first) == run_key(same) != run_key(other)
    assert other.compare_nan_patience == 5


def test_frozen_backbone_stays_as_it_was() -> None:
    model: Any = torch.nn.ModuleDict({"backbone": torch.nn.BatchNorm1d(2), "neck": torch.nn.Linear(2, 2)})
    model.backbone = model["backbone"]
    hook = FreezeBackboneHook(model)
    model.train()
    hook.before_train_iter(SimpleNamespace(), 0)
    model["neck"](model["backbone"](torch.randn(4, 2))).sum().backward()
    assert model["backbone"].num_batches_tracked == 0
    assert model["backbone"].weight.grad is None
    assert model["neck"].weight.grad is not None


def test_a_model_without_a_backbone_of_its_own_cannot_freeze_it(ask: Settings) -> None:
    """Such as a detector in a wrapper; said before a run begins."""
    path = Path(ask.config).with_name("wrapped.py")
    path.write_text(
        f"_base_ = {str(ask.config)!r}\n"
        "model = dict(_delete_=True, type='SoftTeacher', detector=_base_.model)\n"
    )
    with pytest.raises(InputError, match="'model' has no 'backbone'; leave --freeze-backbone out"):
        base_config(replace(ask, config=str(path), freeze_backbone=True))


@pytest.mark.parametrize("key", ["train_dataloader", "val_dataloader", "optim_wrapper"])
def test_a_part_that_the_config_sets_to_none_is_named(ask: Settings, key: str) -> None:
    """Such as the loader of a config that never validates."""
    path = Path(ask.config).with_name("without.py")
    path.write_text(f"_base_ = {str(ask.config)!r}\n{key} = None\n")
    with pytest.raises(InputError, match=f"without.py: no '{key}'; give a whole fine-tune config"):
        base_config(replace(ask, config=str(path)))


def test_a_frozen_tridentnet_keeps_its_three_branches() -> None:
    config = read_config("mmdet::tridentnet/tridentnet_r50-caffe_1x_coco.py").model.backbone
    config.init_cfg = None
    model: Any = torch.nn.Module()
    model.backbone = MODELS.build(config)
    hook = FreezeBackboneHook(model)
    model.train()
    hook.before_train_iter(SimpleNamespace(), 0)
    with torch.no_grad():
        assert len(model.backbone(torch.zeros(2, 3, 64, 64))[0]) == 3 * 2
    norms = [layer for layer in model.backbone.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert not any(layer.training for layer in norms)


def test_config_dict_options_are_applied(ask: Settings) -> None:
    base, _ = base_config(replace(ask, cfg_options={"model.rpn_head.feat_channels": 32}))
    assert isinstance(base.model, ConfigDict)
    assert base.model.rpn_head.feat_channels == 32
