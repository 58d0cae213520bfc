"""The demo's road: its commands, its numbers, clear errors."""

import importlib
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from aligndet.box_domain import BoxDomainPretrainer
from aligndet.box_domain.slots import NO_INSTANCE, Slots
from aligndet.demo import numbers, own_images
from aligndet.demo.plan import Plan, check
from aligndet.demo.road import summary
from aligndet.demo.stages import box_domain, image_domain, stages
from aligndet.evaluation.retrieval import found_share, mirror
from aligndet.road.stage import Done, Stage
from aligndet.training.run import load_config
from tools.demo import ROOT, main, parse_args, plan_of


def plan(folder: Path, own: bool = False, **options: object) -> Plan:
    return Plan(folder / "work", ROOT, images=folder if own else None, **options)  # type: ignore[arg-type]


def commands(found: Sequence[Stage], tool: str) -> list[list[str]]:
    """The words after the tool's name, for each command of a tool."""
    all_of = [command for stage in found for command in stage.commands]
    return [list(command[2:]) for command in all_of if command[1] == f"tools/{tool}.py"]


TOOLS = {"train": 2, "convert_backbone": 1, "show_proposals": 1, "show_views": 1, "plot_log": 1}


@pytest.mark.parametrize(("tool", "count"), TOOLS.items())
def test_the_tools_accept_their_commands(tool: str, count: int, tmp_path: Path) -> None:
    found = commands(stages(plan(tmp_path, image_steps=2, box_steps=3)), tool)
    assert len(found) == count
    for words in found:
        parsed = importlib.import_module(f"tools.{tool}").parse_args(words)
        assert not str(getattr(parsed, "config", "configs/")).startswith("--")


def test_proposals_and_comparison_accept_their_commands(tmp_path: Path) -> None:
    found = stages(plan(tmp_path))
    search = [importlib.import_module("tools.make_proposals")._parser().parse_args(words)
              for words in commands(found, "make_proposals")]  # fmt: skip
    assert [args.min_side for args in search] == [16, 16]
    assert search[1].recall_against
    args = importlib.import_module("tools.prove").parse_args(commands(found, "prove")[0])[1]
    assert args.seeds == 3
    assert args.lr == [0.001, 0.0005]
    assert args.start[0] == "random="
    assert args.cfg_options["model.backbone.init_cfg.checkpoint"].endswith("2_image_domain/backbone.pth")


def test_export_takes_the_last_checkpoint(tmp_path: Path) -> None:
    steps = load_config(str(ROOT / "configs" / "demo" / "alignment_r18.py")).train_cfg.max_iters
    assert commands(stages(plan(tmp_path)), "export_detector")[0][0].endswith(f"run/iter_{steps}.pth")
    assert commands(stages(plan(tmp_path, box_steps=7)), "export_detector")[0][0].endswith("iter_7.pth")


def test_steps_reach_loop_and_schedule(tmp_path: Path) -> None:
    wanted = plan(tmp_path, image_steps=40, box_steps=7)
    train = importlib.import_module("tools.train")
    for stage, steps in ((image_domain(wanted), 40), (box_domain(wanted), 7)):
        args = train.parse_args(list(stage.commands[0][2:]))
        config = load_config(str(ROOT / args.config), args.cfg_options)
        assert config.train_cfg.max_iters == steps
        assert config.param_scheduler[-1].end == steps
        assert config.default_hooks.logger.interval == min(10, steps), "a short run logs, too"
        begin = config.param_scheduler[-1].begin
        assert config.param_scheduler[-1].T_max == steps - begin
        assert begin == 0 or config.param_scheduler[0].end == begin


def test_without_labels_it_ends_with_the_export(tmp_path: Path) -> None:
    found = stages(plan(tmp_path, own=True))
    assert [stage.name for stage in found][-1] == "4_export"
    assert not commands(found, "make_demo_data")
    labelled = plan(tmp_path, own=True, train=tmp_path / "t.json", val=tmp_path / "v.json")
    assert [stage.name for stage in stages(labelled)][-1] == "5_compare"
    done = [Done(stage, "42; and more", 61.0, False) for stage in found]
    text = summary(plan(tmp_path, own=True), done)
    assert "4_export        42        1:01\n                and more\n" in text
    assert "--train YOUR_TRAIN.json --val YOUR_VAL.json" in text
    assert "all                       5:05" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": "nowhere"}, "--images .*nowhere: there is no such folder"),
        ({"train": "t.json"}, "--train and --val go together"),
        ({"train": "t.json", "val": "t.json"}, "with --images"),
        ({"images": ".", "train": "t.json", "val": "t.json"}, "--train .*t.json: there is no such file"),
        ({"max_images": 3}, "--max-images 3: at least 16"),
        ({"box_steps": 0}, "--box-steps 0: at least 1"),
    ],
)
def test_wrong_questions(options: dict, message: str, tmp_path: Path) -> None:
    paths = {key: tmp_path / value for key, value in options.items() if isinstance(value, str)}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        check(Plan(tmp_path / "work", ROOT, **{**options, **paths}))


def write_images(folder: Path, count: int, size: tuple[int, int] = (40, 60), suffix: str = "png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.{suffix}"), np.full((*size, 3), number, np.uint8))


def test_copies_are_small_and_bounded(tmp_path: Path) -> None:
    write_images(tmp_path / "in" / "deep", 5, (400, 800))
    own_images.copy_images(tmp_path / "in", tmp_path / "out", most=3, least=2)
    copies = sorted(path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.glob("out/**/*.jpg"))
    assert copies == ["deep/0.png.jpg", "deep/2.png.jpg", "deep/4.png.jpg"]
    copy = cv2.imread(str(tmp_path / "out" / copies[0]))
    assert copy is not None
    assert copy.shape == (160, 320, 3)
    before = (tmp_path / "out" / copies[0]).stat().st_mtime_ns
    own_images.copy_images(tmp_path / "in", tmp_path / "out", most=3, least=2)
    assert (tmp_path / "out" / copies[0]).stat().st_mtime_ns == before


def test_unreadable_images_are_left_out_and_named(tmp_path: Path) -> None:
    write_images(tmp_path / "in", 4, suffix="jpg")
    (tmp_path / "in" / "bad.jpg").write_bytes(b"no image")
    own_images.copy_images(tmp_path / "in", tmp_path / "set" / "out", most=9, least=2)
    assert "4 unlabelled; 1 left out, see " in numbers.images(tmp_path / "set" / "out", None)
    assert "bad.jpg" in (tmp_path / "set" / "left_out.txt").read_text()
    with pytest.raises(ValueError, match=r"1 of the 5 images .* cannot be read .*bad.jpg.*at least 5"):
        own_images.copy_images(tmp_path / "in", tmp_path / "out", most=9, least=5)


def test_another_image_is_another_question(tmp_path: Path) -> None:
    write_images(tmp_path / "in", 3)
    before = own_images.fingerprint(tmp_path / "in", 9)
    assert own_images.fingerprint(tmp_path / "in", 9) == before
    write_images(tmp_path / "in", 4)
    assert own_images.fingerprint(tmp_path / "in", 9) != before


@pytest.mark.parametrize(
    ("count", "message"),
    [(0, "no image found; expected files ending in"), (3, "holds 3 image.s., expected at least 16")],
)
def test_a_folder_with_too_little_in_it(
    count: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    write_images(tmp_path / "in", count)
    assert main(["--images", str(tmp_path / "in"), "--work-dir", str(tmp_path / "work")]) == 1
    said = capsys.readouterr().err
    assert "stage '0_images' failed" in said
    assert re.search(message, said)
    assert "mend: --images takes a folder with at least 16 readable images" in said


def test_a_curve_in_two_parts_is_one(tmp_path: Path) -> None:
    """The second part repeats what the first did after its last checkpoint."""
    for part, steps in (("1", {10: 5.0, 20: 4.0, 30: 9.0}), ("2", {30: 3.0, 40: 2.0})):
        (tmp_path / part / "vis_data").mkdir(parents=True)
        lines = "".join(f'{{"loss": {value}, "step": {step}}}\n' for step, value in steps.items())
        (tmp_path / part / "vis_data" / "scalars.json").write_text(lines)
    assert numbers.logged(tmp_path, "loss") == [5, 4, 3, 2]
    assert numbers.ends(tmp_path, "loss") == "5.00 -> 2.00"
    with pytest.raises(ValueError, match="no logged other"):
        numbers.logged(tmp_path, "other")


def test_the_comparison_in_words(tmp_path: Path) -> None:
    gain = {"n": 3, "mean": 1.24, "low": -0.5, "high": 3.0, "verdict": "no evidence"}
    arms = [
        {"start": "random", "ap": {"0": 1.0, "1": 2.0}, "ap50": {"0": 4.0, "1": 5.0}, "difference": None},
        {"start": "aligndet", "ap": {"0": 3.0}, "ap50": {"0": 9.0}, "difference": gain},
        {"start": "third", "ap": {}, "ap50": {}, "difference": None},
    ]
    (tmp_path / "r.json").write_text(json.dumps({"arms": arms}))
    assert numbers.compare(tmp_path / "r.json").split("; ") == [
        "random: AP 1.5, AP50 4.5",
        "aligndet: AP 3.0, AP50 9.0",
        "difference +1.2 [-0.5, +3.0] AP over 3 seeds: no evidence",
        "third failed",
    ]
    gain.update(n=1, low=None, high=None)
    (tmp_path / "r.json").write_text(json.dumps({"arms": arms[1:2]}))
    assert "difference +1.2 AP over 1 seeds" in numbers.compare(tmp_path / "r.json")


def test_own_images_have_their_own_work_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = plan_of(parse_args(["--images", "cats"]))
    assert found.images == tmp_path / "cats"
    assert found.work == ROOT / "work_dirs" / "demo_cats"
    assert plan_of(parse_args([])).work == ROOT / "work_dirs" / "demo"


def test_found_share() -> None:
    """Four online slots: one finds its instance, one does not, one is background, one has no partner."""
    online = Slots(torch.tensor([[1.0, 0], [0, 1], [1, 1], [-1, 0]]), torch.tensor([0, 1, NO_INSTANCE, 2]))
    momentum = Slots(torch.tensor([[2.0, 0], [1, -1], [0, 3]]), torch.tensor([0, 1, NO_INSTANCE]))
    found, chance = found_share(online, momentum)
    assert found == pytest.approx(1 / 3)
    assert chance == pytest.approx(2 / 6)
    nothing = Slots(torch.zeros(1, 2), torch.tensor([NO_INSTANCE]))
    assert found_share(nothing, momentum) == (0.0, 0.0)


def test_mirrored_views_differ_in_their_flip_alone() -> None:
    config = load_config(str(ROOT / "configs" / "demo" / "alignment_r18.py"))
    pipeline = config.train_dataloader.dataset.pipeline
    mirror(pipeline)
    views = next(step for step in pipeline if step.type == "MultiBranch")
    flips = {name: next(t for t in views[name] if t.type == "RandomFlip") for name in ("online", "momentum")}
    assert (flips["online"].prob, flips["momentum"].prob) == (0.0, 1.0)
    views.online.remove(flips["online"])
    views.momentum.remove(flips["momentum"])
    assert views.online == views.momentum
    with pytest.raises(ValueError, match=r"the online view .* has no RandomFlip"):
        mirror(pipeline)


def test_the_demo_configs_build() -> None:
    init_default_scope("mmdet")
    stage_2 = load_config(str(ROOT / "configs" / "demo" / "alignment_r18.py"))
    detector = load_config(str(ROOT / "configs" / "demo" / "retinanet_r18.py")).model
    assert stage_2.model.detector == detector, "pre-trained and fine-tuned detector are one"
    stage_1 = load_config(str(ROOT / "configs" / "demo" / "simsiam_r18.py")).model.backbone
    assert (stage_1.stem_channels, stage_1.base_channels) == (32, 32)
    detector.backbone.init_cfg = stage_2.model.detector.backbone.init_cfg = None
    assert MODELS.build(detector).with_neck
    arguments = {key: value for key, value in stage_2.model.items() if key != "type"}
    assert BoxDomainPretrainer(**arguments).online_adapter.num_slots == 192
