"""The doctor on made-up environments: every fault is seen and gets a command that mends it."""

import subprocess
import sys
from pathlib import Path

import pytest

from aligndet.__main__ import main
from aligndet.doctor import environment as doctor
from aligndet.doctor.environment import FAULT, NOTE, OK, Finding, Installed, Packages
from aligndet.doctor.machine import Operators
from aligndet.ops import compiled, startup


def packages(*described: str, files: dict[str, set[str]] | None = None) -> Packages:
    """``"name==version"`` strings as installed distributions."""
    pairs = [one.split("==") for one in described]
    return {name: Installed(name, version, (files or {}).get(name, set())) for name, version in pairs}


def vision(version: str, torch: str) -> Installed:
    return Installed("torchvision", version, requires=["numpy", f"torch=={torch}", "pillow!=8.3.*,>=5.3.0"])


def test_matching_torch_and_torchvision() -> None:
    found = packages("torch==2.12.1+cu130") | {"torchvision": vision("0.27.1", "2.12.1")}
    assert [one.level for one in doctor.check_torch(found)] == [OK]


def test_torchvision_of_another_torch() -> None:
    found = packages("torch==2.12.1") | {"torchvision": vision("0.28.0", "2.13.0")}
    (fault,) = doctor.check_torch(found)
    assert fault.level == FAULT
    assert "torch 2.13.0" in fault.text
    assert fault.mend.endswith('install --no-deps "torchvision==0.27.*"')


def test_torch_that_does_not_load() -> None:
    found = packages("torch==2.12.1") | {"torchvision": vision("0.27.1", "2.12.1")}
    (fault,) = doctor.check_torch(found, "OSError: libcudart.so.13 not found")
    assert fault.level == FAULT
    assert "libcudart" in fault.text
    assert fault.mend.endswith("--force-reinstall torch==2.12.1 torchvision==0.27.1")


def test_mmdet_that_does_not_load() -> None:
    (fault,) = doctor.check_detectors("AssertionError: MMCV==2.2.0 is used but incompatible")
    assert (fault.level, "MMCV==2.2.0" in fault.text) == (FAULT, True)
    assert list(doctor.check_detectors("")) == []


def test_torch_missing() -> None:
    (fault,) = doctor.check_torch(packages("torchvision==0.27.1"))
    assert (fault.level, fault.text) == (FAULT, "torch not installed")


def test_two_families_overwrite_each_other() -> None:
    files = {"onedl-mmcv": {"mmcv/__init__.py", "mmcv/a.py"}, "mmcv": {"mmcv/__init__.py", "mmcv/b.py"}}
    found = packages("onedl-mmcv==2.3.6", "mmcv==2.2.0", "mmengine==0.10.4", files=files)
    fault = next(one for one in doctor.check_families(found) if one.level == FAULT and "mmcv:" in one.text)
    assert "onedl-mmcv 2.3.6 and mmcv 2.2.0 are both installed and share 1 files" in fault.text
    assert "uninstall -y onedl-mmcv mmcv && " in fault.mend
    assert fault.mend.endswith("install --no-deps onedl-mmcv==2.3.6")


def test_families_may_be_mixed_but_it_is_said() -> None:
    found = packages("onedl-mmengine==1.0", "mmcv==2.1.0", "mmdet==3.3.0", "mmpretrain==1.2.0")
    findings = list(doctor.check_families(found))
    assert [one.level for one in findings] == [OK] * 4 + [NOTE]


def test_one_whole_family_is_fine() -> None:
    found = packages("mmengine==0.10.4", "mmcv==2.1.0", "mmdet==3.3.0", "mmpretrain==1.2.0")
    assert [one.level for one in doctor.check_families(found)] == [OK] * 4


@pytest.mark.parametrize(
    ("described", "ximgproc", "level"),
    [
        pytest.param(["opencv-python==4.12"], False, OK, id="plain"),
        pytest.param(["opencv-python==4.12", "opencv-python-headless==4.12"], False, OK, id="same version"),
        pytest.param(["opencv-python==4.12", "opencv-python-headless==4.11"], False, NOTE, id="two versions"),
        pytest.param(["opencv-python==4.12", "opencv-contrib-python==4.12"], False, FAULT, id="overwritten"),
        pytest.param(["opencv-python==4.12", "opencv-contrib-python==4.12"], True, OK, id="contrib wins"),
        pytest.param(["opencv-python==4.12"], None, FAULT, id="cannot be imported"),
        pytest.param([], None, FAULT, id="missing"),
    ],
)
def test_opencv(described: list[str], ximgproc: bool | None, level: str) -> None:
    (finding,) = doctor.check_opencv(packages(*described), ximgproc)
    assert finding.level == level
    assert bool(finding.mend) == (level != OK)


def test_overwritten_contrib_is_put_back() -> None:
    (fault,) = doctor.check_opencv(packages("opencv-python==5.0", "opencv-contrib-python==4.12"), False)
    assert fault.mend.endswith("--force-reinstall --no-deps opencv-contrib-python==4.12")


@pytest.mark.parametrize(
    ("state", "level", "mend"),
    [
        (Operators(at_start=True), OK, ""),
        (Operators(library="mmcv/_ext.so"), OK, ""),
        (Operators(library="mmcv/_ext.so", lacks_cuda=True), FAULT, "rm mmcv/_ext.so && "),
        (Operators(error="ImportError: undefined symbol"), FAULT, "make setup OPS=compiled"),
    ],
)
def test_operators(state: Operators, level: str, mend: str) -> None:
    (finding,) = doctor.check_operators(state)
    assert finding.level == level
    assert finding.mend.startswith(mend)


def test_stand_in_that_stock_tools_do_not_find() -> None:
    levels = {one.level: one for one in doctor.check_operators(Operators())}
    assert levels[NOTE].mend.endswith("-m aligndet.ops.startup")


def test_no_proposal_backend() -> None:
    numba = {"numba": doctor.Installed("numba", "0.68", set(), [])}
    assert [one.level for one in doctor.check_proposals({}, False)] == [FAULT]
    assert [one.level for one in doctor.check_proposals({}, True)] == [OK]
    assert [one.level for one in doctor.check_proposals(numba, False)] == [OK]


@pytest.mark.parametrize(("level", "status"), [(OK, 0), (NOTE, 0), (FAULT, 1)])
def test_exit_status(
    level: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: [Finding(OK, "a"), Finding(level, "b", "mend it")])
    assert main(["doctor"]) == status
    assert "mend it" in capsys.readouterr().out


def test_this_environment_is_examined() -> None:
    text = "\n".join(str(one) for one in doctor.examine())
    assert all(word in text for word in ("torch ", "mmcv operators", "OpenCV", "devices", sys.executable))


def test_start_up_line_follows_the_operators(tmp_path: Path) -> None:
    path = tmp_path / startup.FILE_NAME
    assert startup.update(tmp_path, compiled=False)
    assert path.read_text() == startup.LINE
    assert startup.LINE.startswith("import ")  # site runs only such lines
    code = startup.LINE + "import sys; print('aligndet' in sys.modules, 'torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "False"]
    assert not startup.update(tmp_path, compiled=True)
    assert list(tmp_path.iterdir()) == []


def test_wheel_without_working_operators_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(compiled, "working_library", lambda: None)
    monkeypatch.setattr(compiled, "installed_mmcv", lambda: ("onedl-mmcv", "2.3.6"))
    monkeypatch.setattr(compiled.shutil, "which", lambda name: name)
    monkeypatch.setattr(compiled.subprocess, "run", lambda command, **options: commands.append(command))
    monkeypatch.setattr(compiled.importlib.metadata, "version", lambda name: "2.12.1")
    wheel = tmp_path / "onedl-mmcv-2.3.6-torch-2.12.1" / "onedl_mmcv-2.3.6.whl"
    wheel.parent.mkdir()
    wheel.touch()
    with pytest.raises(SystemExit, match=r"onedl_mmcv-2.3.6.whl do not load"):
        compiled.build_and_install(tmp_path)
    assert str(wheel) in commands[0]
    assert not wheel.exists()


def test_progress_of_a_build(tmp_path: Path) -> None:
    assert compiled.object_files(tmp_path) == (0, 0)
    folder = tmp_path / "build" / "temp.linux"
    (folder / "csrc").mkdir(parents=True)
    (folder / "build.ninja").write_text(
        "rule compile\nbuild /x/a.o: compile a.cpp\nbuild b.o: compile b.cpp\n"
    )
    (folder / "csrc" / "a.o").touch()
    line = compiled.progress_line(65, *compiled.object_files(tmp_path))
    assert line == "compiling mmcv's operators: 1:05 elapsed, 1 of 2 object files"
