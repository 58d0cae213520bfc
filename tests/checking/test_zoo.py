"""The zoo: which configs mmdet has, which have the same model, and a run over them."""

from pathlib import Path

import pytest
from mmengine.config import ConfigDict

from aligndet.checking import journal, kinds, run, zoo
from aligndet.checking.processes import Died
from aligndet.checking.row import FAILED, NO_DETECTOR, NOT_MMDET, OK, Row
from tests.command import command

checked = command("check")


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
    model = zoo.describe("cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py")
    assert model.detector == "CascadeRCNN"
    assert model.heads == ["RPNHead", "CascadeRoIHead", "Shared2FCBBoxHead"]


def test_heads_in_lists_and_classes_are_named_too() -> None:
    model = {
        "type": Row,
        "query_head": {"type": "Q"},
        "bbox_head": [{"type": "A"}, {"type": "lib.B"}],
        "roi_head": [{"type": "R", "bbox_head": {"type": "C"}}],
    }
    assert zoo.describe_model(model) == ("Row", ["Q", "R", "A", "B", "C"])


def test_configs_that_have_no_model_or_that_mmdet_cannot_read() -> None:
    """mmdet ships configs without a model, and some whose bases it does not ship."""
    assert zoo.describe("centernet/centernet_tta.py").status == NO_DETECTOR
    lost = zoo.describe("sort/faster-rcnn_r50_fpn_8xb2-4e_mot17train_test-mot17train.py")
    assert lost.status == NOT_MMDET
    assert "does not exist" in lost.reason
    assert str(zoo.folder()) not in lost.reason


def test_the_zoo_is_that_of_mmdet() -> None:
    names = zoo.config_names()
    assert len(names) > 500
    assert "retinanet/retinanet_r50_fpn_1x_coco.py" in names
    assert not [name for name in names if "_base_" in name]


# a run


def zoo_of(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make one config all that mmdet has, and its rows those of one state of the source."""
    monkeypatch.setattr(run, "state", lambda: "as it is")
    monkeypatch.setattr(run, "read_zoo", lambda *_: [zoo.describe(name)])


def test_the_zoo_is_tried_once_and_remembered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, a real detector; the second time its row is there and no process starts."""
    zoo_of(monkeypatch, "rtmdet/rtmdet_tiny_8xb32-300e_coco.py")
    out = tmp_path / "out"
    assert checked(["--zoo", "--out", out]) == 0
    assert "1 models, 1 to try" in capsys.readouterr().out
    assert "| rtmdet/rtmdet_tiny_8xb32-300e_coco.py | RTMDet: " in (out / "coverage.md").read_text()
    assert f"Written by `aligndet check --zoo --out {out}`" in (out / "coverage.md").read_text()
    monkeypatch.setattr(run, "each_in_a_process", lambda *_: iter([]))
    assert checked(["--zoo", "--out", out]) == 0
    assert "1 models, 0 to try" in capsys.readouterr().out
    assert "Of 1 distinct box detectors 1 are ok." in (out / "coverage.md").read_text()
    monkeypatch.setattr(run, "state", lambda: "changed")
    assert checked(["--zoo", "--out", out]) == 0
    assert "1 models, 1 to try" in capsys.readouterr().out, "rows of another source do not count"


def test_a_process_that_dies_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "each_in_a_process", lambda f, names, *_: ((n, Died("killed")) for n in names))
    name = "retinanet/retinanet_r18_fpn_1x_coco.py"
    out = tmp_path / "out"
    zoo_of(monkeypatch, name)
    assert checked(["--zoo", "--out", out]) == 1
    assert "killed" in (out / "failures.txt").read_text()
    kept = journal.Journal(out / "rows.jsonl", "as it is").rows()
    assert [row.status for row in kept.values()] == [FAILED]
    model = zoo.describe(name)
    tried = [row.reason for row in run.run([model], run.Options(out, again=True))]
    assert tried == ["killed"], "failures are tried again where that is asked for"


def test_the_zoos_configs_are_read_anew_when_the_source_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(run, "config_names", lambda: ["solo/solo_r50_fpn_1x_coco.py"])
    for source, times in (("one", 1), ("one", 1), ("other", 2)):
        monkeypatch.setattr(run, "source_hash", lambda source=source: source)
        models = run.read_zoo(tmp_path, told.append)
        assert [(model.detector, model.status) for model in models] == [("SOLO", "")]
        assert len(told) == times


def test_a_row_is_read_back_as_it_was() -> None:
    row = Row("a.py", status=OK, note="2 tensors get no gradient", same=["b.py"])
    assert Row.from_dict({**row.to_dict(), "key of another version": 1}) == row
