"""The build of compiled operators; the stand-in gives their values and gradients (skipped without them)."""

from pathlib import Path

import mmcv.ops
import pytest
import torch

from aligndet.ops import compiled as builder
from tests.ops.ops_cases import CASES, boxes, compiled, load_stand_in, on_the_kink_case, use

NO_CPU_KERNEL = {"sigmoid_focal", "softmax_focal", "ms_deform_attn", "carafe"}
NO_CPU_KERNEL |= {"deform_roi_pool", "deform_roi_pool_adaptive"}


@pytest.mark.parametrize("name", sorted({*CASES, "on_the_kink"} - NO_CPU_KERNEL))
def test_equal_to_compiled(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for extension in (load_stand_in(), compiled()):
        use(extension, monkeypatch)
        torch.manual_seed(0)
        function, inputs = (CASES | {"on_the_kink": on_the_kink_case})[name]()
        leaves = [tensor.float().requires_grad_() for tensor in inputs]
        value = function(*leaves)
        grads = torch.autograd.grad((value * value.detach().cos()).sum(), leaves)
        results.append([value, *grads])
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("offset", [0, 1])
def test_suppression_equal_to_compiled(offset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    xyxy, scores = boxes(300)
    for extension in (load_stand_in(), compiled()):
        use(extension, monkeypatch)
        soft = [
            mmcv.ops.soft_nms(xyxy, scores, 0.4, 0.5, 0.05, m, offset)
            for m in ("naive", "linear", "gaussian")
        ]
        match = mmcv.ops.nms_match(torch.cat([xyxy, scores[:, None]], 1), 0.4)
        results.append(
            [mmcv.ops.nms(xyxy, scores, 0.4, offset)[1], *(t for pair in soft for t in pair), *match]
        )
    assert len(results[0]) == len(results[1])
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs)


def test_wheel_without_working_operators_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(builder, "working_library", lambda: None)
    monkeypatch.setattr(builder, "installed_mmcv", lambda: ("onedl-mmcv", "2.3.6"))
    monkeypatch.setattr(builder.shutil, "which", lambda name: name)
    monkeypatch.setattr(builder.subprocess, "run", lambda command, **options: commands.append(command))
    monkeypatch.setattr(builder.importlib.metadata, "version", lambda name: "2.12.1")
    wheel = tmp_path / "onedl-mmcv-2.3.6-torch-2.12.1" / "onedl_mmcv-2.3.6.whl"
    wheel.parent.mkdir()
    wheel.touch()
    with pytest.raises(SystemExit, match=r"onedl_mmcv-2.3.6.whl do not load"):
        builder.build_and_install(tmp_path)
    assert str(wheel) in commands[0]
    assert not wheel.exists()


def test_mmcv_lite_is_told_from_no_mmcv(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what the extra of OpenMMLab's own family installs: the message has the way to operators."""
    there = {"mmcv-lite": "2.1.0"}

    def version(name: str) -> str:
        if name not in there:
            raise builder.importlib.metadata.PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(builder.importlib.metadata, "version", version)
    with pytest.raises(SystemExit, match=r"uninstall -y mmcv-lite && .* mmcv==2\.1\.0"):
        builder.installed_mmcv()
    there["mmcv"] = "2.1.0"
    assert builder.installed_mmcv() == ("mmcv", "2.1.0")
    there.clear()
    with pytest.raises(SystemExit, match="make setup"):
        builder.installed_mmcv()


def test_progress_of_a_build(tmp_path: Path) -> None:
    assert builder.object_files(tmp_path) == (0, 0)
    folder = tmp_path / "build" / "temp.linux"
    (folder / "csrc").mkdir(parents=True)
    (folder / "build.ninja").write_text(
        "rule compile\nbuild /x/a.o: compile a.cpp\nbuild b.o: compile b.cpp\n"
    )
    (folder / "csrc" / "a.o").touch()
    line = builder.progress_line(65, *builder.object_files(tmp_path))
    assert line == "compiling mmcv's operators: 1:05 elapsed, 1 of 2 object files"
