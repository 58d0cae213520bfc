"""Exports of annotation tools: a cat at [10, 10, 20, 15] and an outlined dog at [40, 10, 20, 30] in each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.common.labels.file import LabelFile
from aligndet.labels.convert import convert_labels

CAT, DOG = [10, 10, 20, 15], [40, 10, 20, 30]
OUTLINE = [[40, 10], [60, 12], [50, 40]]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("1.jpg", "2.jpg"):
        cv2.imwrite(str(folder / name), np.zeros((48, 64, 3), np.uint8))
    return folder


def save(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def check(labels: LabelFile, names: list[str]) -> None:
    """The boxes of every image, and the classes in the order of their names."""
    assert labels.names == names
    assert labels.classes == ("cat", "dog")
    assert labels.sizes.tolist() == [[64, 48]] * len(names)
    found = [(int(row), int(label)) for row, label in zip(labels.rows, labels.labels, strict=True)]
    assert found == [(row, label) for row in range(len(names)) for label in (0, 1)]
    np.testing.assert_allclose(labels.xywh, [CAT, DOG] * len(names), atol=1e-4)


def labelme(name: str) -> dict[str, Any]:
    return {
        "version": "5.5.0",
        "shapes": [
            {"label": "cat", "points": [[30, 25], [10, 10]], "shape_type": "rectangle"},
            {"label": "dog", "points": OUTLINE, "shape_type": "polygon"},
            {"label": "nose", "points": [[5, 5]], "shape_type": "point"},
        ],
        "imagePath": f"..\\photos\\{name}",
        "imageData": None,
        "imageHeight": 48,
        "imageWidth": 64,
    }


def test_labelme(tmp_path: Path, images: Path) -> None:
    for name in ("1", "2"):
        save(tmp_path / "export" / f"{name}.json", labelme(f"{name}.jpg"))
    labels = convert_labels(tmp_path / "export", tmp_path / "out.json", images)
    check(labels, ["1.jpg", "2.jpg"])
    assert [str(note) for note in labels.report.of_kind("left out")] == [
        f"shapes that are no box (point) ({tmp_path / 'export' / '1.json'} and 1 more)"
    ]


def region(kind: str, **value: Any) -> dict[str, Any]:
    return {"type": kind, "original_width": 64, "original_height": 48, "value": value}


def percent(box: list[int]) -> dict[str, float]:
    names = ("x", "y", "width", "height")
    return {name: 100 * side / whole for name, side, whole in zip(names, box, (64, 48, 64, 48), strict=True)}


def task(reference: str) -> dict[str, Any]:
    outline = [[100 * x / 64, 100 * y / 48] for x, y in OUTLINE]
    regions = [
        region("rectanglelabels", **percent(CAT), rectanglelabels=["cat"], rotation=0),
        region("polygonlabels", points=outline, polygonlabels=["dog"]),
        region("choices", choices=["indoors"]),
    ]
    skipped = {"was_cancelled": True, "result": [region("rectanglelabels", **percent([0, 0, 9, 9]))]}
    return {"id": 1, "data": {"image": reference}, "annotations": [skipped, {"result": regions}]}


def test_label_studio(tmp_path: Path, images: Path) -> None:
    references = ["/data/upload/3/8ad5c0f1-1.jpg", "/data/local-files/?d=photos/2.jpg"]
    source = save(tmp_path / "export.json", [task(reference) for reference in references])
    labels = convert_labels(source, tmp_path / "out.json", images)
    check(labels, ["1.jpg", "2.jpg"])
    assert "regions that are no labelled box (choices)" in str(labels.report)


def test_label_studio_s_turned_box_is_drawn_around(tmp_path: Path) -> None:
    """A quarter turn about the upper left corner: 20 x 10 at (30, 10) lies from (20, 10) to (30, 30)."""
    entry = task("1.jpg")
    turned = region("rectanglelabels", **percent([30, 10, 20, 10]), rectanglelabels=["cat"], rotation=90)
    entry["annotations"][1]["result"] = [turned]
    labels = convert_labels(save(tmp_path / "e.json", [entry]), tmp_path / "out.json")
    np.testing.assert_allclose(labels.xywh, [[20, 10, 10, 20]], atol=1e-4)


def test_label_studio_s_short_export(tmp_path: Path) -> None:
    box = {**percent(CAT), "rectanglelabels": ["cat"], "original_width": 64, "original_height": 48}
    source = save(tmp_path / "min.json", [{"id": 1, "image": "/data/upload/1.jpg", "label": [box]}])
    labels = convert_labels(source, tmp_path / "out.json")
    assert labels.names == ["1.jpg"]
    np.testing.assert_allclose(labels.xywh, [CAT], atol=1e-4)


CVAT_IMAGE = """<image id="{id}" name="{name}" width="64" height="48">
<box label="cat" occluded="0" xtl="10" ytl="10" xbr="30" ybr="25" z_order="0"/>
<polygon label="dog" occluded="0" points="40,10;60,12;50,40" z_order="0"/></image>"""


def test_cvat(tmp_path: Path, images: Path) -> None:
    pytest.importorskip("datumaro")
    entries = "".join(CVAT_IMAGE.format(id=place, name=f"{place + 1}.jpg") for place in range(2))
    names = "".join(f"<label><name>{name}</name><attributes/></label>" for name in ("dog", "cat"))
    meta = f"<meta><task><name>t</name><size>2</size><labels>{names}</labels></task></meta>"
    head = '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>'
    source = save(tmp_path / "annotations.xml", f"{head}{meta}{entries}</annotations>")
    check(convert_labels(source, tmp_path / "out.json", images), ["1.jpg", "2.jpg"])
    with pytest.raises(InputError, match=r"annotations\.xml: datumaro cannot read it .*--images"):
        convert_labels(source, tmp_path / "out.json", tmp_path)


def test_datumaro(tmp_path: Path, images: Path) -> None:
    pytest.importorskip("datumaro")
    names: list[dict[str, Any]] = [{"name": name, "parent": "", "attributes": []} for name in ("dog", "cat")]
    common = {"attributes": {}, "group": 0, "z_order": 0}
    points = [side for point in OUTLINE for side in point]
    boxes = [
        {"id": 0, "type": "bbox", "label_id": 1, "bbox": CAT, **common},
        {
            "id": 1,
            "type": "polygon",
            "label_id": 0,
            "points": points,
            **common,
        },
    ]
    items = [
        {"id": name, "annotations": boxes, "attr": {}, "image": {"path": f"{name}.jpg", "size": [48, 64]}}
        for name in ("1", "2")
    ]
    content = {
        "dm_format_version": "1.0",
        "media_type": 2,
        "info": {},
        "categories": {"label": {"labels": names, "label_groups": [], "attributes": []}},
        "items": items,
    }
    source = save(tmp_path / "annotations" / "default.json", content)
    check(convert_labels(source, tmp_path / "out.json", images), ["1.jpg", "2.jpg"])


def test_roboflow_s_coco_is_coco(tmp_path: Path) -> None:
    """Its class 0 is the name of the group, its annotations count from 0."""
    content = {
        "categories": [{"id": 0, "name": "pets"}, {"id": 1, "name": "cat"}],
        "images": [{"id": 0, "file_name": "1.jpg", "width": 64, "height": 48}],
        "annotations": [{"id": 0, "image_id": 0, "category_id": 1, "bbox": CAT, "area": 300, "iscrowd": 0}],
    }
    labels = convert_labels(save(tmp_path / "_annotations.coco.json", content), tmp_path / "out.json")
    assert labels.report.classes == {"pets": 0, "cat": 1}
    assert json.loads((tmp_path / "out.json").read_text())["annotations"][0]["id"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "Label Studio"),
        ('[{"data": 5}]', "task 0 names no image"),
        ('[{"data": ', "not valid json"),
        ('{"shapes": 5}', "has no 'imagePath' and 'shapes'"),
    ],
)
def test_a_spoilt_export_is_said_in_a_line(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        convert_labels(save(tmp_path / "e.json", content), tmp_path / "out.json")
