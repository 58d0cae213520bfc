"""YOLO's and Pascal VOC's labels give the boxes that are meant; file and line of a fault are named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.common.labels.reader import inspect_labels, read_labels
from aligndet.common.labels.write import sound_labels


def picture(path: Path, width: int = 100, height: int = 50) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    """A data set as Ultralytics lays it out: two splits, one image without a text file."""
    for name in ("train/1", "train/deep/2", "val/3"):
        picture(tmp_path / "images" / f"{name}.png")
    write(tmp_path / "labels/train/1.txt", "1 0.5 0.5 0.2 0.4\n0 .1 .1 .2 .2\n")
    write(tmp_path / "labels/val/3.txt", "0 0.1 0.2 0.3 0.2 0.2 0.6\n")
    return write(
        tmp_path / "data.yaml", "path: .\ntrain: images/train\nval: images/val\nnames: {0: cat, 1: dog}\n"
    )


def test_yolo_boxes_are_in_pixels_of_their_images(yolo: Path) -> None:
    labels = read_labels(yolo, split="train")
    assert labels.names == ["images/train/1.png", "images/train/deep/2.png"]
    assert labels.sizes.tolist() == [[100, 50], [100, 50]]
    np.testing.assert_allclose(labels.xywh, [[40, 15, 20, 20], [0, 0, 20, 10]])
    assert [labels.classes[label] for label in labels.labels] == ["dog", "cat"]
    assert labels.report.empty_images == 1
    assert labels.folder == yolo.parent


def test_yolo_polygons_are_boxes_and_splits_are_told_apart(yolo: Path) -> None:
    labels = read_labels(yolo, split="val")
    assert labels.names == ["images/val/3.png"]
    np.testing.assert_allclose(labels.xywh, [[10, 10, 20, 20]])
    assert "polygons, taken as the boxes around them" in labels.report.line()
    assert len(read_labels(yolo.parent).names) == 3


def test_yolo_names_are_relative_to_the_folder_that_is_given(yolo: Path) -> None:
    assert read_labels(yolo, yolo.parent / "images", "val").names == ["val/3.png"]


def test_a_folder_of_yolo_text_files_with_the_images_elsewhere(tmp_path: Path) -> None:
    picture(tmp_path / "photos/a.jpg")
    write(tmp_path / "texts/a.txt", "1 0.5 0.5 1 1")
    write(tmp_path / "texts/classes.txt", "cat\ndog\n")
    labels = read_labels(tmp_path / "texts", tmp_path / "photos")
    assert (labels.names, labels.classes) == (["a.jpg"], ("cat", "dog"))
    assert labels.xywh.tolist() == [[0, 0, 100, 50]]


def test_exports_whose_yaml_points_beside_itself_are_found(tmp_path: Path) -> None:
    picture(tmp_path / "train/images/a.jpg")
    write(tmp_path / "train/labels/a.txt", "0 0.5 0.5 1 1")
    path = write(tmp_path / "data.yaml", "train: ../train/images\nnc: 1\nnames: ['cat']\n")
    assert len(read_labels(path, split="train").rows) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 50 25 20 10", "line 1 has numbers beyond 0 and 1; expected fractions of the image, not pixels"),
        ("0 0.5 0.5", "line 1 has 3 numbers; expected: class x y width height"),
        ("cat 0.5 0.5 0.1 0.1", "line 1 is no line of numbers"),
        ("7 0.5 0.5 0.1 0.1", r"'category_id' 7, which is not in 'categories' \(0, 1\)"),
    ],
)
def test_a_wrong_line_of_yolo_is_named(line: str, message: str, yolo: Path) -> None:
    write(yolo.parent / "labels/train/1.txt", line)
    with pytest.raises(InputError, match=message) as caught:
        read_labels(yolo, split="train")
    assert "labels/train/1.txt" in str(caught.value)


VOC = """<annotation><folder>x</folder><filename>{name}.jpg</filename>{source}
<size><width>100</width><height>50</height><depth>3</depth></size>
<object><name>dog</name><difficult>0</difficult><bndbox><xmin>11</xmin><ymin>6</ymin><xmax>31</xmax><ymax>26</ymax>
</bndbox></object><object><name>cat</name><difficult>1</difficult>
<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>50.0</xmax><ymax>40</ymax></bndbox></object></annotation>"""


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write(tmp_path / "Annotations" / f"{name}.xml", VOC.format(name=name, source=""))
    write(tmp_path / "ImageSets/Main/train.txt", "b\n")
    write(tmp_path / "ImageSets/Main/test.txt", "a -1\n")
    return tmp_path


def test_voc_boxes_classes_and_difficult_ones(voc: Path) -> None:
    labels = read_labels(voc)
    assert labels.names == ["a.jpg", "b.jpg"]
    assert labels.xywh[0].tolist() == [11, 6, 20, 20]
    assert (labels.report.boxes, labels.report.crowds) == (2, 2)
    assert labels.classes == ("cat", "dog")
    assert read_labels(sound_labels(labels, voc / "out.json")).sound


def test_voc_s_lists_are_splits(voc: Path) -> None:
    assert read_labels(voc, split="train").names == ["b.jpg"]
    assert read_labels(voc, split="val").names == ["a.jpg"]
    assert read_labels(voc / "ImageSets/Main/test.txt").names == ["a.jpg"]


def test_the_challenges_count_pixels_from_1(voc: Path) -> None:
    source = "<source><database>The VOC2007 Database</database></source>"
    write(voc / "Annotations/a.xml", VOC.format(name="a", source=source))
    assert read_labels(voc).xywh[0].tolist() == [10, 5, 20, 20]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation>", "cannot be read as xml"),
        ("<html/>", "holds <html>"),
        (
            VOC.format(name="a", source="").replace("<ymax>26</ymax>", ""),
            "a <bndbox> of 'dog' without four",
        ),
    ],
)
def test_a_wrong_xml_is_named(text: str, message: str, voc: Path) -> None:
    write(voc / "Annotations/a.xml", text)
    refused = inspect_labels(voc).report.refused
    assert [message in str(note) and "a.xml" in str(note) for note in refused] == [True]


def test_a_folder_without_labels_says_what_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no labels in this folder; expected a COCO json, YOLO"):
        read_labels(tmp_path)
    write(tmp_path / "a.json", "{}")
    with pytest.raises(InputError, match="1 json files in this folder; give one COCO json"):
        read_labels(tmp_path)
