"""Stages: done once, gone on with or started afresh; what counts as the same inputs and outputs."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from aligndet.road.inputs import config_content, images_content
from aligndet.road.progress import progress, shown
from aligndet.road.stage import Done, Stage, StageError, Walker, environment
from aligndet.road.state import stamps, unchanged

ROOT = Path(__file__).parents[2]


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def append(file: Path, then: str = "") -> tuple[str, ...]:
    """A command that leaves a mark each time it runs."""
    return python(f"open({str(file)!r}, 'a').write('x'); {then}")


class Trial:
    """A work dir with one-file stages, and what was said."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said = folder, list[str]()

    def walk(self, *found: Stage, interval: float = 15) -> list[Done]:
        walker = Walker(self.folder, ROOT, say=self.said.append, interval=interval)
        return [walker.carry_out(stage) for stage in found]

    def stage(self, name: str = "0_a", then: str = "", depends: str = "") -> Stage:
        out = self.folder / name / "out"
        command, read = append(out, then), lambda: out.read_text()
        return Stage(name, "title", (command,), (out,), "mend it", read, depends=depends)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path / "work")


def test_a_stage_is_done_once(trial: Trial) -> None:
    first, again = trial.walk(trial.stage())[0], trial.walk(trial.stage())[0]
    assert (first.number, first.reused) == ("x", False)
    assert (again.number, again.reused) == ("x", True)
    assert again.seconds == first.seconds > 0


def test_a_missing_output_is_made_again(trial: Trial) -> None:
    trial.walk(trial.stage())
    (trial.folder / "0_a" / "out").unlink()
    assert not trial.walk(trial.stage())[0].reused


def test_a_failed_stage_goes_on_with_its_files(trial: Trial) -> None:
    code = f"import os; os.path.exists({str(trial.folder / 'ok')!r}) or exit(3)"
    with pytest.raises(StageError):
        trial.walk(trial.stage(then=code))
    (trial.folder / "ok").touch()
    assert trial.walk(trial.stage(then=code))[0].number == "xx"


def test_other_options_start_afresh_and_so_do_later_stages(trial: Trial) -> None:
    trial.walk(trial.stage(), trial.stage("1_b"))
    done = trial.walk(trial.stage(depends="other images"), trial.stage("1_b"))
    assert [d.reused for d in done] == [False, False]
    assert [d.number for d in done] == ["x", "x"], "files of the other question are gone"


def test_a_changed_config_counts(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "c.py").write_text("a = 1")
    stage = Stage("s", "t", (("python", "configs/c.py"),), (), "", str)
    before = stage.key("", tmp_path)
    assert stage.key("", tmp_path) == before
    (tmp_path / "configs" / "c.py").write_text("a = 2")
    assert stage.key("", tmp_path) != before
    assert stage.key("another stage before", tmp_path) != stage.key("", tmp_path)


def test_files_of_others_are_not_touched(trial: Trial) -> None:
    (trial.folder / "0_a").mkdir(parents=True)
    (trial.folder / "0_a" / "holiday.jpg").touch()
    with pytest.raises(StageError, match=r"holds files that no stage made.*--work-dir"):
        trial.walk(trial.stage())
    assert (trial.folder / "0_a" / "holiday.jpg").exists()


def test_a_failure_names_stage_log_and_mend(trial: Trial) -> None:
    with pytest.raises(StageError) as caught:
        trial.walk(trial.stage(then="print('the reason'); exit(7)"))
    text = str(caught.value)
    assert "stage '0_a' failed: exit status 7" in text
    assert "  | the reason" in text
    assert f"log:  {trial.folder / '0_a' / 'log.txt'}" in text
    assert "mend: mend it" in text
    assert json.loads((trial.folder / "0_a" / "stage.json").read_text())["done"] is False


def test_an_output_that_does_not_come_is_a_failure(trial: Trial) -> None:
    stage = replace(trial.stage(), outputs=(trial.folder / "never",))
    with pytest.raises(StageError, match="never came out of it"):
        trial.walk(stage)


def test_progress_is_told_while_a_command_runs(trial: Trial) -> None:
    code = "import time; print(' 40%|##  | 4/10 [00:02<00:03, 2img/s]', flush=True); time.sleep(1.5)"
    trial.walk(trial.stage(then=code), interval=0.1)
    assert trial.said.count("      4/10, 00:03 left") == 1


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (
            "x - mmengine - INFO - Iter(train) [ 20/200]  lr: 1e-2  eta: 0:01:05  time: 0.3  "
            "grad_norm: 0.3  loss: 8.9582  loss_bbox: 0.6\n",
            "step 20/200, loss 8.9582, 0:01:05 left",
        ),
        (
            "x - mmengine - INFO - Epoch(train)  [3][ 50/1200]  base_lr: 1e-2 lr: 1e-2  "
            "eta: 1 day, 2:03:04  time: 0.3  data_time: 0.1  loss: 0.5  loss_bbox: 0.6\n",
            "epoch 3 step 50/1200, loss 0.5, 1 day, 2:03:04 left",
        ),
        ("\r  0%| | 0/20 [00:00<?, ?img/s]\r 80%|8 | 16/20 [00:13<00:03, 1.1img/s]", "16/20, 00:03 left"),
        ("[1/8] running: random 100% seed 0 4/150\n", "[1/8] running: random 100% seed 0 4/150"),
        ("anything else\n", ""),
    ],
)  # fmt: skip
def test_progress_lines(log: str, told: str) -> None:
    assert progress(log) == told


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MALLOC_MMAP_MAX_"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MALLOC_TOP_PAD_", "1")
    monkeypatch.setenv("PYTHONPATH", "theirs")
    found = environment(ROOT, 3)
    assert found["OMP_NUM_THREADS"] == "3"
    assert found["MALLOC_MMAP_MAX_"] == "0"
    assert found["OMP_WAIT_POLICY"] == "PASSIVE"
    assert found["MALLOC_TOP_PAD_"] == "1", "what the user set stays"
    assert found["PYTHONPATH"] == f"{ROOT}{os.pathsep}theirs"


def test_shown_commands_can_be_typed() -> None:
    assert shown((sys.executable, "tools/x.py", "my images", "a=b")) == "python tools/x.py 'my images' a=b"


def test_a_lost_summary_stops_nothing(trial: Trial) -> None:
    stage = replace(trial.stage(), number=lambda: str(json.loads("{")))
    assert trial.walk(stage)[0].number.startswith("(no summary: Expecting property name")


def content(trial: Trial, name: str, value: str, **options: object) -> Stage:
    """A stage whose output's bytes are ``value``."""
    out = trial.folder / name / "out"
    command = python(f"open({str(out)!r}, 'w').write({value!r})")
    return Stage(name, "title", (command,), (out,), "", lambda: out.read_text(), **options)  # type: ignore[arg-type]


def test_an_output_that_was_changed_is_made_again_and_one_that_was_touched_is_not(trial: Trial) -> None:
    out = trial.folder / "0_a" / "out"
    trial.walk(content(trial, "0_a", "right"))
    os.utime(out, (1, 1))
    assert trial.walk(content(trial, "0_a", "right"))[0].reused
    out.write_text("wrong")
    again = trial.walk(content(trial, "0_a", "right"))[0]
    assert (again.reused, again.number) == (False, "right")


def test_later_stages_depend_on_the_bytes_of_those_they_name(trial: Trial) -> None:
    """`2_c` reads `0_a`, not `1_b`. The same bytes made anew change nothing."""
    random = "import time; open({!r}, 'w').write(str(time.time_ns()))"
    a, b = content(trial, "0_a", "same"), content(trial, "1_b", "b", after=())
    c = content(trial, "2_c", "c", after=("0_a",))
    trial.walk(a, b, c)
    (trial.folder / "0_a" / "out").unlink()
    assert [d.reused for d in trial.walk(a, b, c)] == [False, True, True]
    moved = replace(b, commands=(python(random.format(str(trial.folder / "1_b" / "out"))),))
    assert [d.reused for d in trial.walk(a, moved, c)] == [True, False, True]
    other = replace(a, commands=(python(random.format(str(trial.folder / "0_a" / "out"))),))
    assert [d.reused for d in trial.walk(other, moved, c)] == [False, True, False]
    (trial.folder / "0_a" / "out").unlink()
    assert [d.reused for d in trial.walk(other, moved, c)] == [False, True, False], "other bytes"


def test_what_was_made_before_is_kept_where_that_is_asked(trial: Trial) -> None:
    for depends in ("one", "two", "three"):
        walker = Walker(trial.folder, ROOT, say=trial.said.append, keep=True)
        walker.carry_out(content(trial, "0_a", depends, depends=depends))
    texts = [(trial.folder / name / "out").read_text() for name in ("0_a.before1", "0_a.before2", "0_a")]
    assert texts == ["one", "two", "three"]
    assert any("that is now 0_a.before1/" in line for line in trial.said)


def test_files_are_written_first_and_are_inputs(trial: Trial) -> None:
    config, out = trial.folder / "0_a" / "c.py", trial.folder / "0_a" / "out"
    command = python(f"open({str(out)!r}, 'w').write(open({str(config)!r}).read())")
    stage = Stage("0_a", "t", ((*command, str(config)),), (out,), "", out.read_text, files={config: "a = 1"})
    assert [trial.walk(stage)[0].reused for _ in range(2)] == [False, True], "there or not, the key is one"
    done = trial.walk(replace(stage, files={config: "a = 2"}))[0]
    assert (done.reused, done.number) == (False, "a = 2")


def test_a_config_is_all_that_it_inherits_and_names(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text("lr = 1")
    (tmp_path / "detector.py").write_text("model = dict(depth=18)")
    (tmp_path / "c.py").write_text(f"_base_ = 'base.py'\nmodel = dict(detector='{tmp_path}/detector.py')")
    seen = {config_content("c.py", tmp_path)}
    (tmp_path / "base.py").write_text("lr = 2")
    seen.add(config_content("c.py", tmp_path))
    (tmp_path / "detector.py").write_text("model = dict(depth=50)")
    seen.add(config_content("c.py", tmp_path))
    assert len(seen) == 3
    (tmp_path / "c.py").write_text((tmp_path / "c.py").read_text() + "\n# only a comment")
    assert config_content("c.py", tmp_path) in seen
    stock = config_content("mmdet::retinanet/retinanet_r50_fpn_1x_coco.py", tmp_path)
    assert "retinanet_r50_fpn.py" in stock
    assert "'DetDataPreprocessor'" in stock, "the content of its bases"


def test_a_config_that_is_not_there_or_no_python(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"Config not found: typo\.py"):
        config_content("typo.py", tmp_path)
    (tmp_path / "c.py").write_text("a = (")
    with pytest.raises(ValueError, match=r"c\.py is no Python config"):
        config_content("c.py", tmp_path)


def test_the_shipped_configs_are_followed_to_the_detector() -> None:
    """Through ``{{ fileDirname }}`` of a pre-training config and the bases of the detector's."""
    found = config_content("configs/demo/alignment_r18.py", ROOT)
    for name in ("retinanet_lite0_256px.py", "two_views.py", "demo/retinanet_r18.py", "coco_detection.py"):
        assert name in found


def test_images_are_names_sizes_and_times(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "1.jpg").write_text("x")
    seen = [images_content(tmp_path)]
    (tmp_path / "notes.txt").write_text("no image")
    assert images_content(tmp_path) == seen[0]
    (tmp_path / "deep" / "1.jpg").write_text("longer")
    seen.append(images_content(tmp_path))
    (tmp_path / "deep" / "1.jpg").rename(tmp_path / "deep" / "2.jpg")
    seen.append(images_content(tmp_path))
    assert len(set(seen)) == 3


def test_a_folder_is_an_output_too(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "boxes.npy").write_bytes(b"1234")
    known = json.loads(json.dumps(stamps([tmp_path / "store"])))
    assert unchanged([tmp_path / "store"], known)
    (tmp_path / "store" / "boxes.npy").write_bytes(b"4321")
    assert not unchanged([tmp_path / "store"], known)
    assert not unchanged([tmp_path / "gone"], known)
