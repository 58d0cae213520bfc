"""The coverage tool: its conditions can fail, its processes may die, its rows outlive a run."""

import math
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.config import Config, ConfigDict
from torch import nn

import aligndet
from aligndet.coverage import check, journal, kinds, run, zoo
from aligndet.coverage.batch import two_views
from aligndet.coverage.conditions import CheckError, check_gradients, check_losses, check_still
from aligndet.coverage.document import document, write_document
from aligndet.coverage.processes import Died, each_in_a_process
from aligndet.coverage.row import FAILED, NO_DETECTOR, NOT_MMDET, OK, REFUSED, Row
from tests.small import detector
from tools import coverage


def config_file(folder: Path, name: str, model: Any) -> str:
    path = folder / name
    Config(dict(model=model)).dump(path)
    return str(path)


def test_views_mirror_each_other() -> None:
    batch = two_views(images=3, size=96, boxes=4)
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


# what must hold after a step


class Pretrainer(nn.Module):
    """The parts of a pre-trainer after a step in which all is well."""

    def __init__(self) -> None:
        super().__init__()
        self.online = nn.ModuleDict(
            {"backbone": nn.Linear(2, 2), "neck": nn.Linear(2, 2), "head": nn.Linear(2, 2)}
        )
        self.online_adapter = nn.ModuleDict({"projectors": nn.Linear(2, 2)})
        self.online["backbone"].requires_grad_(False)
        for parameter in self.parameters():
            parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None


def zero(parameter: Any) -> None:
    parameter.grad.zero_()


def test_gradients_that_are_right() -> None:
    model = Pretrainer()
    zero(model.online["neck"].bias)  # one tensor may be zero at the first step
    check_gradients(model)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("part", "value", "complaint"),
    [
        ("neck", None, "1 tensors get no gradient: online.neck.weight"),
        ("head", 0.0, "all gradients are zero in online.head"),
        ("head", math.inf, "not finite: online.head.weight"),
        ("backbone", 1.0, "frozen tensors are trained: online.backbone.weight"),
    ],
)
def test_gradients_that_are_wrong(part: str, value: float | None, complaint: str) -> None:
    model = Pretrainer()
    layer = model.online[part]
    layer.weight.grad = None if value is None else torch.full((2, 2), value)
    if value == 0.0:
        zero(layer.bias)
    with pytest.raises(CheckError, match=complaint):
        check_gradients(model)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("losses", "positives", "complaint"),
    [
        ({"loss_bbox": torch.tensor(math.nan)}, 3, "not finite: loss_bbox"),
        ({"loss_bbox": [torch.tensor(1.0), torch.tensor(math.inf)]}, 3, "not finite: loss_bbox"),
        ({}, 3, "no loss of its own"),
        ({"loss_bbox": torch.tensor(1.0)}, 0, "none of 9 slots"),
        ({"loss_bbox": torch.tensor(1.0), "loss_contrast": torch.tensor(0.0)}, 3, "loss_contrast is 0.0"),
    ],
)
def test_losses_that_are_wrong(losses: dict, positives: int, complaint: str) -> None:
    row = Row("a.py", slots=9, positives=positives)
    with pytest.raises(CheckError, match=complaint):
        check_losses({"loss_contrast": torch.tensor(2.0), "positives": torch.tensor(3.0), **losses}, row)


def test_losses_are_summed_without_the_contrast_and_the_counts() -> None:
    row = Row("a.py", slots=9, positives=3)
    losses = {"loss_rpn": [torch.tensor(1.0), torch.tensor(2.0)], "s0.loss_bbox": torch.tensor(0.5)}
    check_losses({**losses, "loss_contrast": torch.tensor(7.0), "positives": torch.tensor(3.0)}, row)
    assert (row.losses, row.contrast) == (3.5, 7.0)


def test_a_backbone_whose_statistics_moved() -> None:
    backbone = nn.BatchNorm2d(3)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    check_still(before, backbone.eval())
    backbone.train()(torch.randn(2, 3, 4, 4))
    with pytest.raises(CheckError, match="3 tensors of the backbone changed: running_mean"):
        check_still(before, backbone)


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


def test_configs_that_have_no_model_or_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text("dataset = 1")
    (tmp_path / "lost.py").write_text("_base_ = 'nowhere.py'")
    assert zoo.describe(str(tmp_path / "data.py")).status == NO_DETECTOR
    assert zoo.describe(str(tmp_path / "lost.py")).status == NOT_MMDET


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


# rows and the document


def test_rows_outlive_a_run_until_the_source_changes(tmp_path: Path) -> None:
    path = tmp_path / "work" / "rows.jsonl"
    first = journal.Journal(path, "state 1")
    first.add("a", Row("a.py", status=FAILED, reason="broken"))
    first.add("a", Row("a.py", status=OK, slots=7))
    first.add("b", Row("b.py", status=OK))
    with path.open("a") as file:
        file.write('{"key": "c", "st')  # the run was killed here
    assert {key: row.status for key, row in first.rows().items()} == {"a": OK, "b": OK}
    assert first.rows()["a"] == Row("a.py", status=OK, slots=7)
    changed = journal.Journal(path, "state 2")
    assert changed.rows() == {}
    changed.add("b", Row("b.py", status=OK))
    assert {key: row.stale for key, row in changed.rows(stale=True).items()} == {"a": True, "b": False}


def test_the_state_follows_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "box_domain").mkdir()
    module = tmp_path / "box_domain" / "step.py"
    module.write_text("a = 1")
    monkeypatch.setattr(journal, "SOURCES", ("box_domain",))
    monkeypatch.setattr(journal, "aligndet", SimpleNamespace(__file__=str(tmp_path / "__init__.py")))
    before = journal.source_hash()
    assert before == journal.source_hash()
    module.write_text("a = 2")
    assert journal.source_hash() != before


def test_every_source_that_rows_depend_on_exists() -> None:
    root = Path(aligndet.__file__).parent
    assert all((root / name).exists() for name in journal.SOURCES)


def rows() -> list[Row]:
    return [
        Row(
            "z/z.py",
            "z",
            "FCOS",
            "FCOSHead",
            "PointAdapter",
            OK,
            size=128,
            slots=90,
            contrast=1.25,
            same=["z/y.py"],
        ),
        Row("a/a.py", "a", "DETR", "DETRHead", "QueryAdapter", FAILED, reason="a | b"),
        Row("s/s.py", "s", "SOLO", status=REFUSED, reason="masks", same=["s/t.py"]),
        Row("s/u.py", "s", "SOLO", status=REFUSED, reason="masks"),
    ]


def test_the_document() -> None:
    lines = document(rows(), {"mmdet": "9.9"}, left=5)
    assert "| ok | 1 | 2 | pre-trains, and the export loads into the stock detector |" in lines
    assert "| all | 4 | 6 | |" in lines
    assert "Of 2 distinct box detectors 1 are ok." in lines
    assert "Versions: mmdet 9.9." in lines
    assert any(line.startswith("5 models are not in the table") for line in lines)
    assert not any("--stale" in line for line in lines)
    assert any(line.startswith("1 rows") for line in document([Row("a.py", stale=True)], {}))
    table = [line for line in lines if line.startswith(("| a/a.py", "| z/z.py"))]
    assert table[0].endswith("| **failed**: a \\| b |")
    assert table[1].startswith("| z/z.py (+1) | FCOS: FCOSHead | PointAdapter | 128 | 90 | 0 | 1.25 |")
    assert "| refused | SOLO | 3 | s/s.py | masks |" in lines
    assert "- z/z.py: z/y.py" in lines


def test_the_document_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "docs" / "coverage.md"
    write_document(rows(), path, "python tools/coverage.py", {}, (128, 320))
    before = path.read_text()
    assert "`python tools/coverage.py`" in before
    assert "128 or 320 px" in before
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_document([], path, "other", {}, (128,))
    assert path.read_text() == before


# the tool


def test_the_tool_tries_once_and_remembers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, a real detector; the second time its row is known and no process starts."""
    name = config_file(tmp_path, "small.py", detector("retinanet"))
    work, out = tmp_path / "work", tmp_path / "coverage.md"
    monkeypatch.setattr(run, "state", lambda: "as it is")
    command = ["--config", name, "--work-dir", str(work), "--out", str(out)]
    assert coverage.main(command) == 0
    assert "1 models, 1 to try" in capsys.readouterr().out
    assert "AnchorAdapter" in out.read_text()
    monkeypatch.setattr(run, "each_in_a_process", lambda *_: iter([]))
    assert coverage.main(command) == 0
    assert "1 models, 0 to try" in capsys.readouterr().out
    assert "Of 1 distinct box detectors 1 are ok." in out.read_text()


def test_a_process_that_dies_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "each_in_a_process", lambda f, names, *_: ((n, Died("killed")) for n in names))
    name = config_file(tmp_path, "small.py", detector("retinanet"))
    work = tmp_path / "work"
    monkeypatch.setattr(run, "state", lambda: "as it is")
    assert coverage.main(["--config", name, "--work-dir", str(work)]) == 1
    assert "killed" in (work / "failures.txt").read_text()
    known = journal.Journal(work / "rows.jsonl", "as it is").rows()
    assert [row.status for row in known.values()] == [FAILED]
    model = zoo.describe(name)
    tried = [row.reason for row in run.run([model], run.Options(work, again=True))]
    assert tried == ["killed"], "failures are tried again where that is asked for"
