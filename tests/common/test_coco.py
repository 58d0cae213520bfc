"""The one reader of COCO json names file, entry and key."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aligndet.common.coco import class_names, read_coco, stream_coco
from aligndet.common.errors import InputError
from tests.small_coco import make_coco


def test_a_good_file_is_read_whole_or_in_a_stream(tmp_path: Path) -> None:
    path = make_coco(tmp_path, 3)
    coco = read_coco(path)
    assert class_names(path) == ("red", "green")
    streamed = list(stream_coco(path))
    assert [entry for key, _, entry in streamed if key == "annotations"] == coco["annotations"]
    assert [place for key, place, _ in streamed if key == "images"] == [0, 1, 2]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda coco: coco.pop("annotations"), "list under 'annotations'"),
        (lambda coco: coco["images"][1].pop("file_name"), r"images\[1\] has no 'file_name'"),
        (lambda coco: coco["images"][2].update(id=1), r"images\[2\] has the 'id' 1 of an image before it"),
        (lambda coco: coco["images"].append(7), r"images\[3\] is 7; expected an object"),
        (lambda coco: coco["annotations"][4].pop("image_id"), r"annotations\[4\] has no 'image_id'"),
        (lambda coco: coco["annotations"][4].pop("category_id"), r"annotations\[4\] has no 'category_id'"),
        (
            lambda coco: coco["annotations"][2].update(bbox=[1, 2, 3]),
            r"annotations\[2\] has 'bbox' \[1,",
        ),
        (lambda coco: coco["annotations"][2].update(bbox="1"), r"expected four numbers"),
        (lambda coco: coco["annotations"][2].update(image_id="2"), r"'image_id' '2', the image's 'id' is 2;"),
        (lambda coco: coco["categories"][0].pop("name"), r"categories\[0\] has no 'name'"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, edit: Callable[[dict[str, Any]], Any], message: str) -> None:
    path = make_coco(tmp_path, 3)
    coco = json.loads(path.read_text())
    edit(coco)
    path.write_text(json.dumps(coco))
    with pytest.raises(InputError, match=rf"0\.json: .*{message}"):
        read_coco(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"[1]", "list under 'images'"), (b"{", "not valid JSON"), (b"\xff\xd8\xff", "not a text file")],
)
def test_what_is_no_json_object_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"x\.json: .*{message}"):
        read_coco(path)
    with pytest.raises(InputError, match="there is no such file"):
        read_coco(tmp_path / "nowhere.json")


def test_a_byte_order_mark_is_named_by_both_readers(tmp_path: Path) -> None:
    path = make_coco(tmp_path, 1)
    path.write_text(path.read_text(), encoding="utf-8-sig")
    with pytest.raises(InputError, match="BOM"):
        read_coco(path)
    with pytest.raises(InputError, match="BOM"):
        list(stream_coco(path))
