"""Finding and reading configs: mistakes are one line that names the file and the nearest name."""

from pathlib import Path

import pytest

from aligndet.common.configs import locate_config, read_config, read_model
from aligndet.common.errors import InputError


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_configs_of_packages() -> None:
    for name in (
        "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py",
        "aligndet::box_domain/retinanet_r50_fpn_1x_coco.py",
        "mmpretrain::simsiam/simsiam_resnet50_8xb32-coslr-100e_in1k.py",
    ):
        assert read_config(name).model


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "mmdet::retinanet/retinanet_r50_fpn_1x_coc.py",
            "did you mean 'retinanet/retinanet_r50_fpn_1x_coco.py'",
        ),
        ("mmdet::retinanet", "no such config"),
        ("mdet::retinanet/retinanet_r50_fpn_1x_coco.py", "did you mean 'mmdet'"),
        ("../x::y.py", "no installed package"),
        ("nowhere.py", "no such file"),
    ],
)
def test_a_name_that_is_none(name: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        locate_config(name)
    assert words in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_config(tmp_path: Path) -> None:
    write(tmp_path / "retinanet.py", "model = dict()")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" * 1000)
    for name, words in {
        "retinanot.py": "did you mean",
        "photo.jpg": "ends in .py",
        "": "this is a folder",
    }.items():
        with pytest.raises(InputError, match=words):
            read_config(str(tmp_path / name))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model = dict(\n", "line 1"),
        ("_base_ = 'gone.py'", "gone.py"),
        ("custom_imports = dict(imports=['no_such_package_at_all'])", "no_such_package_at_all"),
        ("model = dict(type=undefined)", "undefined"),
        ("img_norm_cfg = 1\ndata = dict(samples_per_gpu=2)", "mmdet 2"),
    ],
)
def test_what_is_wrong_inside_is_named(text: str, words: str, tmp_path: Path) -> None:
    name = write(tmp_path / "mine.py", text)
    with pytest.raises(InputError, match=words) as caught:
        read_config(name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_config_of_detectron2_is_named(tmp_path: Path) -> None:
    name = write(tmp_path / "faster.yaml", "_BASE_: ../Base.yaml\nMODEL:\n  MASK_ON: false\n")
    with pytest.raises(InputError, match="detectron2"):
        read_config(name)


def test_a_config_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model"):
        read_model(write(tmp_path / "data.py", "train_dataloader = dict()"))
