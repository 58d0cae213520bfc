"""Listing images and reading them as mmcv does."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.common.images import UnreadableImageError, list_images, read_image
from aligndet.image_domain.folder import ImageFolder


def scene(height: int = 20, width: int = 30) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2] = (255, 0, 0)
    image[: height // 2, width // 2 :] = (0, 0, 255)
    return image


def write_rotated_jpeg(path: Path) -> None:
    """A jpeg whose EXIF orientation is 6: to be turned by a quarter when shown."""
    data = cv2.imencode(".jpg", scene())[1].tobytes()
    entry = b"\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"
    exif = b"Exif\x00\x00" + b"II*\x00\x08\x00\x00\x00" + b"\x01\x00" + entry + b"\x00" * 4
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])


def test_folder_is_searched_recursively_in_sorted_order(tmp_path: Path) -> None:
    for name in ["b.jpg", "a/z.PNG", "a/.hidden.jpg", "notes.txt", "a/b/c.bmp"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    entries, root = list_images(tmp_path)
    assert [(e.id, e.file_name) for e in entries] == [(1, "a/b/c.bmp"), (2, "a/z.PNG"), (3, "b.jpg")]
    assert root == tmp_path
    entries, root = list_images(tmp_path / "a", tmp_path)
    assert ([e.file_name for e in entries], root) == (["a/b/c.bmp", "a/z.PNG"], tmp_path)
    with pytest.raises(InputError, match="expected a folder that contains"):
        list_images(tmp_path, tmp_path / "a")


@pytest.mark.parametrize(
    ("json_name", "folder"),
    [
        ("annotations/train.json", "images"),
        ("annotations/instances_train2017.json", "train2017"),
        ("all.json", "."),
        ("all.json", "images"),
    ],
)
def test_image_folder_of_a_json_is_found(tmp_path: Path, json_name: str, folder: str) -> None:
    rows = [{"id": 9, "file_name": "missing.jpg"}, {"id": 7, "file_name": "x.jpg"}]
    (tmp_path / json_name).parent.mkdir(exist_ok=True)
    (tmp_path / json_name).write_text(json.dumps({"images": rows}))
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "x.jpg").write_bytes(b"x")
    entries, root = list_images(tmp_path / json_name)
    assert [(e.id, e.file_name) for e in entries] == [(9, "missing.jpg"), (7, "x.jpg")]
    assert root.resolve() == (tmp_path / folder).resolve()


def test_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder, COCO json"):
        list_images(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no image found"):
        list_images(tmp_path)
    bad = tmp_path / "bad.json"
    bad.write_text("[1]")
    with pytest.raises(InputError, match="expected a json object"):
        list_images(bad)
    bad.write_text(json.dumps({"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]}))
    with pytest.raises(InputError, match="not unique"):
        list_images(bad, tmp_path)
    bad.write_text(json.dumps({"images": [{"id": 1, "file_name": "a.jpg"}]}))
    with pytest.raises(InputError, match="give the folder of its images"):
        list_images(bad)


@pytest.mark.parametrize("kind", ["grey", "alpha", "sixteen", "color"])
def test_every_kind_of_image_reads_as_three_channels(tmp_path: Path, kind: str) -> None:
    image = scene()
    variants = {
        "grey": image[..., 0],
        "alpha": np.dstack([image, image[..., :1]]),
        "sixteen": image.astype(np.uint16) * 257,
        "color": image,
    }
    path = tmp_path / f"ünïcode {kind}.png"
    path.write_bytes(cv2.imencode(".png", variants[kind])[1].tobytes())
    read = read_image(path)
    assert (read.shape, read.dtype) == ((20, 30, 3), np.uint8)
    np.testing.assert_array_equal(read, image[..., [0, 0, 0]] if kind == "grey" else image)


def test_exif_rotation_is_applied_as_mmcv_does(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    write_rotated_jpeg(path)
    assert read_image(path).shape == (30, 20, 3)
    mmcv = pytest.importorskip("mmcv")
    np.testing.assert_array_equal(read_image(path), mmcv.imread(str(path)))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"no image at all", "cannot decode"), (None, "No such file")],
)
def test_unreadable_images_say_why(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "bad.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=reason):
        read_image(path)


def test_hidden_copies_links_and_circles_are_the_same_for_every_stage(tmp_path: Path) -> None:
    """Proposals and the image domain list the same names in the same order."""
    for name in ("b/2.jpg", "a.png", "._a.png", ".thumbs/a.png", "b/.hidden/3.jpg", "notes.txt", "b-1/x.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / name), scene()) if name[-4:] in (".png", ".jpg") else None
    (tmp_path / "b" / "round").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    expected = ["a.png", "b-1/x.jpg", "b/2.jpg", "gone.jpg"]
    assert [entry.file_name for entry in list_images(tmp_path)[0]] == expected
    data = ImageFolder(str(tmp_path), pipeline=[{"type": "LoadImageFromFile"}])
    listed = [Path(data.get_data_info(i)["img_path"]) for i in range(len(data))]
    assert [path.relative_to(tmp_path).as_posix() for path in listed] == expected
    assert data.prepare_data(3) is None, "mmengine takes another image in its place"


def test_thumbnails_and_copies_of_systems_are_no_images(tmp_path: Path) -> None:
    for name in ("1.jpg", "@eaDir/1.jpg", "__MACOSX/1.jpg", ".ipynb_checkpoints/1.jpg", "a/#recycle/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini"):
        (tmp_path / name).write_bytes(b"x")
    table, _ = list_images(tmp_path)
    assert [entry.file_name for entry in table] == ["1.jpg"]
    assert table.left_out() == ""


def test_images_of_other_kinds_are_counted_and_those_that_only_have_another_name_listed(
    tmp_path: Path,
) -> None:
    """What training cannot read everywhere is said, by ending; a jpeg of any name is one."""
    jpeg = cv2.imencode(".jpg", scene())[1].tobytes()
    for name in ("a.JPG", "b.jfif", "c.heic", "d", "e.png"):
        (tmp_path / name).write_bytes(jpeg)
    for name in ("f.HEIC", "g.heic", "h.gif", "README", "i.txt", "j.svg"):
        (tmp_path / name).write_bytes(b"something else")
    table, _ = list_images(tmp_path)
    assert [entry.file_name for entry in table] == ["a.JPG", "b.jfif", "c.heic", "d", "e.png"]
    assert table.left_out().startswith("4 files of other kinds left out: .gif 1, .heic 2, .svg 1; convert")
    (tmp_path / "other").mkdir()
    for name in ("f.HEIC", "g.heic", "h.gif"):
        (tmp_path / name).rename(tmp_path / "other" / name)
    with pytest.raises(InputError, match=r"no image found; .*3 files of other kinds left out: \.gif 1"):
        list_images(tmp_path / "other")


def test_every_image_is_listed_once_however_many_links_lead_to_it(tmp_path: Path) -> None:
    """A link to a folder inside is another name of images that are listed; one to the outside is followed."""
    for name in ("in/b/1.jpg", "in/c/2.jpg", "out/3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    links = {"a": "in/b", "b/x": "in/c", "c/y": "in/b", "far": "out", "farther": "out"}
    for link, target in links.items():
        (tmp_path / "in" / link).symlink_to(tmp_path / target, target_is_directory=True)
    assert [entry.file_name for entry in list_images(tmp_path / "in")[0]] == [
        "b/1.jpg",
        "c/2.jpg",
        "far/3.jpg",
    ]


def test_names_are_any_bytes(tmp_path: Path) -> None:
    """A name of latin-1 comes through a folder, a list file and the table of images as it is on disk."""
    name = os.fsdecode(b"Jos\xe9.jpg")
    (tmp_path / name).write_bytes(b"x")
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfJos\xe9.jpg\r\n")
    for source in (tmp_path, tmp_path / "list.txt"):
        table, root = list_images(source)
        assert [entry.file_name for entry in table] == [name]
        assert (root / table[0].file_name).read_bytes() == b"x"
    (tmp_path / "binary.txt").write_bytes(b"PK\0\0")
    with pytest.raises(InputError, match="not a text file"):
        list_images(tmp_path / "binary.txt")


def test_a_pattern(tmp_path: Path) -> None:
    for name in ("x/1.jpg", "x/y/2.jpg", "x/y/2.png", "x/.thumbs/3.jpg", "z.jpg", "we[i]rd/4.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    table, root = list_images(tmp_path / "x" / "**" / "*.jpg")
    assert ([entry.file_name for entry in table], root) == (["1.jpg", "y/2.jpg"], tmp_path / "x")
    table, root = list_images(tmp_path / "we[i]rd")
    assert ([entry.file_name for entry in table], root) == (["4.jpg"], tmp_path / "we[i]rd")
    with pytest.raises(InputError, match="no image found"):
        list_images(tmp_path / "x" / "*.bmp")


def test_a_list_of_names(tmp_path: Path) -> None:
    for name in ("sub/2.jpg", "1.jpg", "data/a/1.jpg", "data/b/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "list.txt").write_text("sub/2.jpg\n\n 1.jpg \nsub/2.jpg\n")
    table, root = list_images(tmp_path / "list.txt")
    assert ([entry.file_name for entry in table], root) == (["sub/2.jpg", "1.jpg"], tmp_path)
    assert len(table.skipped) == 1
    (tmp_path / "list.txt").write_text(f"{tmp_path}/data/a/1.jpg\n{tmp_path}/data/b/2.jpg\n")
    table, root = list_images(tmp_path / "list.txt")
    assert ([entry.file_name for entry in table], root) == (["a/1.jpg", "b/2.jpg"], tmp_path / "data")
    (tmp_path / "list.txt").write_text("1.jpg\n../2.jpg\n")
    with pytest.raises(InputError, match=r"list\.txt, line 2: \.\./2\.jpg is not below"):
        list_images(tmp_path / "list.txt")
