"""The coverage tool: one model, the zoo, processes that die, and a run."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config, ConfigDict

from aligndet.checking import check, journal, kinds, run, zoo
from aligndet.checking.batch import generated_batch
from aligndet.checking.configs import check as check_configs
from aligndet.checking.processes import Died, each_in_a_process
from aligndet.checking.row import FAILED, NO_DETECTOR, NOT_MMDET, OK, REFUSED, UNREADABLE, Row
from tests.command import command
from tests.small import detector

checked = command("check")


def config_file(folder: Path, name: str, model: Any) -> str:
    path = folder / name
    Config(dict(model=model)).dump(path)
    return str(path)


def test_views_mirror_each_other() -> None:
    batch = generated_batch(images=3, size=96, boxes=4)
    for image, mirrored in zip(batch["inputs"]["online"], batch["inputs"]["momentum"], strict=True):
        assert torch.equal(image, mirrored.flip(2))
    for one, other in zip(*batch["data_samples"].values(), strict=True):
        boxes, mirrored = one.gt_instances.bboxes, other.gt_instances.bboxes
        assert boxes.shape == (4, 4)
        assert boxes.min() >= 0
        assert boxes.max() <= 96
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert torch.allclose(mirrored[:, [2, 0]], 96 - boxes[:, [0, 2]])
        assert one.gt_instances.instance_ids.tolist() == other.gt_instances.instance_ids.tolist()


# one model


def test_a_small_detector_is_ok() -> None:
    row = Row("retinanet.py")
    check.check_model(detector("retinanet"), row)
    assert (row.status, row.adapter, row.size) == (OK, "AnchorAdapter", 128)
    assert row.missing == 2, "weight and bias of the classifier"
    assert row.kept > 100
    assert 0 < row.positives < row.slots


def test_a_model_with_a_fault_fails_at_every_size() -> None:
    model = detector("retinanet")
    model.neck.num_outs = 6  # RetinaNet has anchors for five levels
    row = Row("faulty.py")
    with pytest.raises(AssertionError):
        check.check_model(model, row, sizes=(64, 96))
    assert (row.status, row.size) == (FAILED, 96), "mmdet can build it, so it is not to blame"


def test_an_error_is_kept_in_the_row(tmp_path: Path) -> None:
    row = check.check_config(
        config_file(tmp_path, "unknown.py", dict(type="FCOS", bbox_head=dict(type="NoHead")))
    )
    assert row.status == FAILED
    assert "NoHead" in row.reason
    assert "Traceback" in row.trace


def test_refusals_and_models_that_mmdet_cannot_build(tmp_path: Path) -> None:
    solo = Row("solo.py")
    check.check_model(zoo.read_model("solo/solo_r50_fpn_1x_coco.py"), solo)
    assert solo.status == REFUSED
    assert "masks and no boxes" in solo.reason
    broken = detector("retinanet")
    broken.bbox_head.anchor_generator.type = "NoSuchGenerator"
    row = check.check_config(config_file(tmp_path, "broken.py", broken))
    assert row.status == NOT_MMDET
    assert "NoSuchGenerator" in row.reason


def test_the_student_of_a_distillation() -> None:
    model = zoo.read_model("ld/ld_r18-gflv1-r101_fpn_1x_coco.py")
    student = check.student(model)
    assert student.type == "SingleStageDetector"
    assert not [key for key in student if "teacher" in key]
    assert student.backbone == model.backbone
    plain = detector("retinanet")
    assert check.student(plain) is plain


def test_reasons_are_true_and_no_config_ends_the_others(tmp_path: Path) -> None:
    (tmp_path / "imports.py").write_text("custom_imports = dict(imports=['no_such_package'])\nmodel = dict()")
    (tmp_path / "syntax.py").write_text("model = dict(\n")
    (tmp_path / "data.py").write_text("dataset = 1")
    foreign = detector("retinanet")
    foreign.bbox_head.type = "HeadOfTheUser"
    names = [str(tmp_path / name) for name in ("gone.py", "imports.py", "syntax.py", "data.py")]
    rows = check_configs([*names, config_file(tmp_path, "foreign.py", foreign)])
    gone, imports, syntax, data, unregistered = rows
    assert [row.status for row in rows] == [UNREADABLE, UNREADABLE, UNREADABLE, NO_DETECTOR, FAILED]
    assert "no such file" in gone.reason
    assert "no_such_package" in imports.reason
    assert "line" in syntax.reason
    assert "no model" in data.reason
    assert "'HeadOfTheUser' is not registered; is its module imported?" in unregistered.reason
    for row in rows:
        assert "mmdet cannot" not in row.reason


# the zoo


def test_models_that_differ_in_weights_and_statistics_only_are_one() -> None:
    one = ConfigDict(type="FCOS", backbone=dict(type="ResNet"), data_preprocessor=dict(mean=[1]))
    other = ConfigDict(type="FCOS", backbone=dict(type="ResNet"), data_preprocessor=dict(mean=[2]))
    deeper = ConfigDict(type="FCOS", backbone=dict(type="ResNet", depth=101))
    assert zoo.fingerprint(one) == zoo.fingerprint(other) != zoo.fingerprint(deeper)
    models = [
        zoo.Model(["f/fcos_2x.py"], key="k"),
        zoo.Model(["f/a.py"], key="other"),
        zoo.Model(["f/fcos.py"], key="k"),
    ]
    assert [model.configs for model in kinds.group(models)] == [["f/a.py"], ["f/fcos.py", "f/fcos_2x.py"]]
    assert kinds.plainest_first(["x/a.py", "f/fcos_r50.py", "f/fcos.py"]) == [
        "f/fcos.py",
        "f/fcos_r50.py",
        "x/a.py",
    ]


def test_one_config_per_kind_is_the_plainest() -> None:
    models = [
        zoo.Model(["f/fcos_x101.py"], "FCOS", ["FCOSHead"], "1"),
        zoo.Model(["f/fcos_r50.py"], "FCOS", ["FCOSHead"], "2"),
        zoo.Model(["r/rcnn.py"], "FasterRCNN", ["RPNHead", "StandardRoIHead"], "3"),
        zoo.Model(["r/tta.py"], key="4", status=NO_DETECTOR),
    ]
    assert [model.configs[0] for model in kinds.one_per_kind(models)] == ["f/fcos_r50.py", "r/rcnn.py"]
    assert [m.key for m in kinds.kinds_first(models)] == ["2", "3", "1", "4"]


def test_heads_that_find_boxes_are_named_once() -> None:
    model = zoo.read_model("cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py")
    assert list(zoo.heads(model)) == ["RPNHead", "CascadeRoIHead", "Shared2FCBBoxHead"]


def test_heads_in_lists_are_named_too() -> None:
    model = {
        "bbox_head": [{"type": "A"}, {"type": "B"}],
        "roi_head": [{"type": "R", "bbox_head": {"type": "C"}}],
    }
    assert list(zoo.heads(model)) == ["R", "A", "B", "C"]


def test_configs_that_have_no_model_or_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text("dataset = 1")
    (tmp_path / "lost.py").write_text("_base_ = 'nowhere.py'")
    assert zoo.describe(str(tmp_path / "data.py")).status == NO_DETECTOR
    assert zoo.describe(str(tmp_path / "lost.py")).status == UNREADABLE


def test_the_zoo_is_that_of_mmdet() -> None:
    names = zoo.config_names()
    assert len(names) > 500
    assert "retinanet/retinanet_r50_fpn_1x_coco.py" in names
    assert not [name for name in names if "_base_" in name]


# processes


def test_processes_that_crash_or_take_too_long_cost_their_own_argument_only() -> None:
    crash, error, fine = "__import__('os')._exit(3)", "1 / 0", "6 * 7"
    assert dict(each_in_a_process(eval, [crash, error, fine], jobs=2)) == {
        crash: Died("the process ended with exit code 3"),
        error: Died("the process ended with exit code 1"),
        fine: 42,
    }
    assert dict(each_in_a_process(time.sleep, [600.0], limit=1)) == {600.0: Died("took more than 1 s")}


# the command


def zoo_of(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make one config all that mmdet has, and its rows those of one state of the source."""
    monkeypatch.setattr(run, "state", lambda: "as it is")
    monkeypatch.setattr(run, "read_zoo", lambda *_: [zoo.describe(name)])


def test_the_zoo_is_tried_once_and_remembered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, a real detector; the second time its row is there and no process starts."""
    zoo_of(monkeypatch, config_file(tmp_path, "small.py", detector("retinanet")))
    out = tmp_path / "out"
    assert checked(["--zoo", "--out", out]) == 0
    assert "1 models, 1 to try" in capsys.readouterr().out
    assert "AnchorAdapter" in (out / "coverage.md").read_text()
    assert f"Written by `aligndet check --zoo --out {out}`" in (out / "coverage.md").read_text()
    monkeypatch.setattr(run, "each_in_a_process", lambda *_: iter([]))
    assert checked(["--zoo", "--out", out]) == 0
    assert "1 models, 0 to try" in capsys.readouterr().out
    assert "Of 1 distinct box detectors 1 are ok." in (out / "coverage.md").read_text()


def test_a_process_that_dies_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "each_in_a_process", lambda f, names, *_: ((n, Died("killed")) for n in names))
    name = config_file(tmp_path, "small.py", detector("retinanet"))
    out = tmp_path / "out"
    zoo_of(monkeypatch, name)
    assert checked(["--zoo", "--out", out]) == 1
    assert "killed" in (out / "failures.txt").read_text()
    kept = journal.Journal(out / "rows.jsonl", "as it is").rows()
    assert [row.status for row in kept.values()] == [FAILED]
    model = zoo.describe(name)
    tried = [row.reason for row in run.run([model], run.Options(out, again=True))]
    assert tried == ["killed"], "failures are tried again where that is asked for"


def test_each_config_has_a_line_and_one_that_is_not_ok_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = config_file(tmp_path, "good.py", detector("retinanet"))
    bad = tmp_path / "bad.py"
    bad.write_text("custom_imports = dict(imports=['no_such_package_at_all'])\nmodel = dict(type='X')\n")
    result = tmp_path / "result.json"
    assert checked([bad, good, "--json", result]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{bad}: failed: ")
    assert "no_such_package_at_all" in lines[0]
    assert lines[1].startswith(f"{good}: ok: ")
    rows = json.loads(result.read_text())["configs"]
    assert [row["status"] for row in rows] == [UNREADABLE, OK]
    assert not (tmp_path / "work_dirs").exists(), "only --zoo keeps rows"
