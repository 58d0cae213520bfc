"""The doctor on made-up environments: every fault of what is installed is seen and gets its command."""

import pytest

from aligndet.doctor import distributions as doctor
from aligndet.doctor.distributions import Installed, Packages
from aligndet.doctor.finding import FAULT, NOTE, OK


def packages(*described: str, files: dict[str, set[str]] | None = None) -> Packages:
    """``"name==version"`` strings as installed distributions."""
    pairs = [one.split("==") for one in described]
    return {name: Installed(name, version, (files or {}).get(name, set())) for name, version in pairs}


def vision(version: str, torch: str) -> Installed:
    return Installed("torchvision", version, requires=["numpy", f"torch=={torch}", "pillow!=8.3.*,>=5.3.0"])


def test_matching_torch_and_torchvision() -> None:
    present = packages("torch==2.12.1+cu130") | {"torchvision": vision("0.27.1", "2.12.1")}
    assert [one.level for one in doctor.check_torch(present)] == [OK]


def test_torchvision_of_another_torch() -> None:
    present = packages("torch==2.12.1") | {"torchvision": vision("0.28.0", "2.13.0")}
    (fault,) = doctor.check_torch(present)
    assert fault.level == FAULT
    assert "torch 2.13.0" in fault.text
    assert fault.hint.endswith('install --no-deps "torchvision==0.27.*"')


def test_torch_that_does_not_load() -> None:
    present = packages("torch==2.12.1") | {"torchvision": vision("0.27.1", "2.12.1")}
    (fault,) = doctor.check_torch(present, "OSError: libcudart.so.13 not present")
    assert fault.level == FAULT
    assert "libcudart" in fault.text
    assert fault.hint.endswith("--force-reinstall torch==2.12.1 torchvision==0.27.1")


def test_torch_missing() -> None:
    (fault,) = doctor.check_torch(packages("torchvision==0.27.1"))
    assert (fault.level, fault.text) == (FAULT, "torch not installed")


def test_two_families_overwrite_each_other() -> None:
    files = {"onedl-mmcv": {"mmcv/__init__.py", "mmcv/a.py"}, "mmcv": {"mmcv/__init__.py", "mmcv/b.py"}}
    present = packages("onedl-mmcv==2.3.6", "mmcv==2.2.0", "mmengine==0.10.4", files=files)
    fault = next(one for one in doctor.check_families(present) if one.level == FAULT and "mmcv:" in one.text)
    assert "onedl-mmcv 2.3.6 and mmcv 2.2.0 are both installed and share 1 files" in fault.text
    assert "uninstall -y onedl-mmcv mmcv && " in fault.hint
    assert fault.hint.endswith("install --no-deps onedl-mmcv==2.3.6")


def test_families_may_be_mixed_but_it_is_said() -> None:
    present = packages("onedl-mmengine==1.0", "mmcv==2.1.0", "mmdet==3.3.0", "mmpretrain==1.2.0")
    findings = list(doctor.check_families(present))
    assert [one.level for one in findings] == [OK] * 4 + [NOTE]


def test_one_whole_family_is_fine() -> None:
    present = packages("mmengine==0.10.4", "mmcv==2.1.0", "mmdet==3.3.0", "mmpretrain==1.2.0")
    assert [one.level for one in doctor.check_families(present)] == [OK] * 4


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
    assert bool(finding.hint) == (level != OK)


def test_overwritten_contrib_is_put_back() -> None:
    (fault,) = doctor.check_opencv(packages("opencv-python==5.0", "opencv-contrib-python==4.12"), False)
    assert fault.hint.endswith("--force-reinstall --no-deps opencv-contrib-python==4.12")


def test_no_proposal_backend() -> None:
    numba = {"numba": Installed("numba", "0.68", set(), [])}
    assert [one.level for one in doctor.check_proposals({}, False)] == [FAULT]
    assert [one.level for one in doctor.check_proposals({}, True)] == [OK]
    assert [one.level for one in doctor.check_proposals(numba, False)] == [OK]


def test_missing_requirement() -> None:
    aligndet = Installed("aligndet", "0.2", requires=["rich>=13", "numba>=0.59", 'dask; extra == "dask"'])
    present = packages("rich==15.0") | {"aligndet": aligndet}
    (fault,) = doctor.check_requirements(present)
    assert (fault.level, fault.text) == (FAULT, "numba is required but not installed")
    assert fault.hint.endswith('install "numba>=0.59"')
    assert list(doctor.check_requirements(packages("rich==15.0"))) == []
