"""Images of a folder: what is found, in which order, with which labels, and what a broken one does."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import DATASETS

from aligndet.common.errors import InputError
from aligndet.common.images import UnreadableImageError
from aligndet.image_domain.folder import ImageFolder

LOAD = [{"type": "LoadImageFromFile"}]


def image(path: Path, value: int = 0, size: tuple[int, int] = (4, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*size, 3), value, np.uint8))


def names(data: ImageFolder, root: Path) -> list[str]:
    return [Path(data.get_data_info(i)["img_path"]).relative_to(root).as_posix() for i in range(len(data))]


def test_a_plain_folder_of_any_nesting_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b/c/2.png", "a.JPG", "b/1.bmp", "ü ö/3.png"):
        image(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    data = DATASETS.build({"type": "aligndet.ImageFolder", "data_root": str(tmp_path), "pipeline": LOAD})
    assert names(data, tmp_path) == ["a.JPG", "b/1.bmp", "b/c/2.png", "ü ö/3.png"]
    assert data[0]["img"].shape == (4, 6, 3)
    assert "gt_label" not in data.get_data_info(0)


def test_the_imagenet_layout_by_the_same_path(tmp_path: Path) -> None:
    for name in ("train/n02/1.png", "train/n01/2.png", "val/n01/3.png"):
        image(tmp_path / name)
    train = ImageFolder(str(tmp_path), with_label=True)
    assert names(train, tmp_path) == ["train/n01/2.png", "train/n02/1.png"]
    assert [train.get_data_info(i)["gt_label"] for i in range(2)] == [0, 1]
    assert train.metainfo["classes"] == ("n01", "n02")
    assert names(ImageFolder(str(tmp_path), split="val"), tmp_path) == ["val/n01/3.png"]
    assert len(ImageFolder(str(tmp_path), split="")) == 3


@pytest.mark.parametrize(
    ("beside", "taken", "told"),
    [
        ("car/2.png bus/3.png", "bus/3.png car/2.png train/1.png", "train/ is taken for a class"),
        ("2.png", "train/1.png", "1 images outside of it are left out"),
        ("val/2.png test2017/3.png", "train/1.png", ""),
        ("annotations/a.json labels/1.txt", "train/1.png", ""),
        ("val/2.png car/3.png", "car/3.png train/1.png val/2.png", "train/ is taken for a class"),
    ],
)
def test_a_class_that_is_called_like_a_split(
    beside: str, taken: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Crops sorted into car/, bus/ and train/ are nine images, not three; it is said."""
    said: list[str] = []
    monkeypatch.setattr("aligndet.image_domain.folder.warn", said.append)
    image(tmp_path / "train" / "1.png")
    for name in beside.split():
        image(tmp_path / name) if name.endswith("png") else (tmp_path / name).parent.mkdir()
    assert names(ImageFolder(str(tmp_path)), tmp_path) == taken.split()
    assert [told in text for text in said] == [True] * bool(told)


def test_an_image_of_too_many_pixels_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("aligndet.common.images.replaced.warn", said.append)
    image(tmp_path / "a.png")
    image(tmp_path / "big.png", size=(5, 6))
    monkeypatch.setenv("ALIGNDET_MAX_PIXELS", "24")
    data = ImageFolder(str(tmp_path), pipeline=LOAD)
    assert data.prepare_data(0) is not None
    assert data.prepare_data(1) is None
    assert "6x5 px are more than 24 pixels" in said[0]


def test_linked_folders_are_followed_and_circles_are_not(tmp_path: Path) -> None:
    image(tmp_path / "far" / "1.png")
    image(tmp_path / "here" / "2.png")
    (tmp_path / "here" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "back").symlink_to(tmp_path / "here")
    assert names(ImageFolder(str(tmp_path / "here")), tmp_path / "here") == ["2.png", "link/1.png"]


@pytest.mark.parametrize(
    ("files", "label", "error", "message"),
    [
        ([], False, ValueError, "no image found; expected files ending in .bmp"),
        (["readme.txt"], False, ValueError, r"train_dataloader\.dataset\.data_root"),
        (["a/1.png", "2.png"], True, ValueError, r"2\.png: with labels .* 1 do not"),
    ],
)
def test_folders_that_cannot_serve(
    files: list[str], label: bool, error: type[Exception], message: str, tmp_path: Path
) -> None:
    for name in files:
        image(tmp_path / name) if name.endswith("png") else (tmp_path / name).touch()
    with pytest.raises(error, match=message):
        ImageFolder(str(tmp_path), with_label=label)
    with pytest.raises(InputError, match="nowhere: no such folder of images"):
        ImageFolder(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("content", [b"", b"no image", b"\xff\xd8\xff\xe0 cut"])
def test_another_image_takes_the_place_of_a_broken_one(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image(tmp_path / "good.png", 7)
    (tmp_path / "bad.jpg").write_bytes(content)
    said: list[str] = []
    monkeypatch.setattr("aligndet.common.images.replaced.warn", said.append)
    data = ImageFolder(str(tmp_path), pipeline=LOAD)
    assert names(data, tmp_path)[0] == "bad.jpg"
    assert all((data[0]["img"] == 7).all() for _ in range(3))
    assert (
        len([line for line in said if "bad.jpg: " in line and "another image takes its place" in line]) == 1
    )
    with pytest.raises(UnreadableImageError):
        ImageFolder(str(tmp_path), pipeline=LOAD, test_mode=True)[0]


def test_a_fault_of_the_pipeline_is_not_taken_for_a_broken_image(tmp_path: Path) -> None:
    image(tmp_path / "good.png")
    data = ImageFolder(str(tmp_path), pipeline=[*LOAD, lambda results: results["misspelt"]])
    with pytest.raises(KeyError, match="misspelt"):
        data[0]
