"""Labels as people have them: a flaw of one meaning is mended and told, one of two is refused by entry."""

from __future__ import annotations

import codecs
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aligndet.common.errors import InputError
from aligndet.common.labels.file import LabelFile
from aligndet.common.labels.reader import class_names, inspect_labels, read_labels
from aligndet.common.labels.write import sound_labels, write_labels
from tests.small_labels import save, sound_coco

Spoil = Callable[[dict[str, Any]], Any]


def boxes_of(labels: LabelFile) -> list[tuple[str, str, list[float]]]:
    """Image, class and xywh of each box: what must not change, whatever the ids."""
    return [
        (labels.names[row], labels.classes[label], box)
        for row, label, box in zip(labels.rows, labels.labels, labels.xywh.tolist(), strict=True)
    ]


def spoilt(tmp_path: Path, spoil: Spoil) -> Path:
    content = sound_coco()
    spoil(content)
    return save(tmp_path / "spoilt.json", content)


def each(key: str, **changes: Callable[[dict[str, Any]], Any]) -> Spoil:
    """Set fields of every entry of a list to what a function of the entry gives; ``None`` deletes."""

    def spoil(content: dict[str, Any]) -> None:
        for entry in content[key]:
            for field, change in changes.items():
                value = change(entry)
                if value is None:
                    del entry[field]
                else:
                    entry[field] = value

    return spoil


def both(*spoils: Spoil) -> Spoil:
    return lambda content: [spoil(content) for spoil in spoils]


def test_a_sound_file_is_read_as_it_is_and_without_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = read_labels(save(tmp_path / "a.json", sound_coco()))
    assert labels.sound
    assert capsys.readouterr().err == ""
    assert labels.report.classes == {"cat": 6, "dog": 6}
    assert labels.to_coco()["annotations"] == sound_coco()["annotations"]
    assert sound_labels(labels, tmp_path / "never.json") == tmp_path / "a.json"
    assert not (tmp_path / "never.json").exists()


MENDED: dict[str, tuple[Spoil, str]] = {
    "annotation ids from 0": (each("annotations", id=lambda box: box["id"] - 10), "annotation ids"),
    "annotation ids missing": (each("annotations", id=lambda _: None), "annotation ids"),
    "one annotation id for all": (each("annotations", id=lambda _: 7), "annotation ids"),
    "image ids as text": (
        both(
            each("annotations", image_id=lambda box: str(box["image_id"])),
            each("images", id=lambda image: str(image["id"])),
        ),
        "read as whole numbers",
    ),
    "image ids as text on one side": (
        each("annotations", image_id=lambda box: str(box["image_id"])),
        "read as whole numbers",
    ),
    "image ids with a point": (each("images", id=lambda image: float(image["id"])), "read as whole numbers"),
    "image ids that are words": (
        both(
            each("annotations", image_id=lambda box: f"frame {box['image_id']}"),
            each("images", id=lambda image: f"frame {image['id']}"),
        ),
        "image ids that are text or beyond 63 bits",
    ),
    "image ids beyond 64 bits": (
        both(
            each("annotations", image_id=lambda box: box["image_id"] + 2**64),
            each("images", id=lambda image: image["id"] + 2**64),
        ),
        "image ids that are text or beyond 63 bits",
    ),
    "class ids as text": (each("categories", id=lambda kind: str(kind["id"])), "read as whole numbers"),
    "area 0": (each("annotations", area=lambda _: 0), "'area' that is 0 or below"),
    "area missing": (each("annotations", area=lambda _: None), "'area' that is missing"),
    "iscrowd missing": (each("annotations", iscrowd=lambda _: None), "'iscrowd' that is missing"),
    "iscrowd as text": (each("annotations", iscrowd=lambda _: "0"), "'iscrowd' as text"),
    "iscrowd as a logical value": (each("annotations", iscrowd=lambda _: False), "'iscrowd' as text"),
    "sides as text": (
        each("annotations", bbox=lambda box: [str(side) for side in box["bbox"]]),
        "numbers of 'bbox' as text",
    ),
    "an entry twice": (
        lambda content: content["annotations"].append(content["annotations"][0]),
        "annotations that stand twice",
    ),
    "an image twice": (
        lambda content: content["images"].append(content["images"][0] | {"id": 99}),
        "images that stand twice",
    ),
    "a class twice": (
        lambda content: content["categories"].append({"id": 9, "name": "cat"}),
        "two categories of one name",
    ),
}


@pytest.mark.parametrize("kind", MENDED)
def test_what_has_one_meaning_is_mended_and_told(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Boxes are those of the sound file, the line on the screen names the flaw, what is written is sound."""
    right = boxes_of(read_labels(save(tmp_path / "right.json", sound_coco())))
    spoil, told = MENDED[kind]
    labels = read_labels(spoilt(tmp_path, spoil))
    assert boxes_of(labels) == right
    assert not labels.sound
    line = capsys.readouterr().err
    assert "spoilt.json" in line
    assert told in line
    assert line.count("\n") == 1
    written = read_labels(sound_labels(labels, tmp_path / "out" / "new.json"))
    assert written.sound
    assert boxes_of(written) == right
    assert (written.areas > 0).all()
    assert capsys.readouterr().err == ""


def test_names_with_backslashes_are_folders_unless_there_is_such_a_file(tmp_path: Path) -> None:
    path = spoilt(tmp_path, each("images", file_name=lambda image: f"day\\{image['file_name']}"))
    assert read_labels(path).names[0] == "day/1.png"
    (tmp_path / "day\\1.png").write_bytes(b"")
    assert read_labels(path, tmp_path).names[:2] == ["day\\1.png", "day/2.png"]


def test_names_of_classes_that_are_numbers_are_text(tmp_path: Path) -> None:
    path = spoilt(tmp_path, each("categories", name=lambda kind: kind["id"]))
    assert read_labels(path).classes == ("3", "4")


def test_boxes_of_one_class_need_no_category(tmp_path: Path) -> None:
    path = spoilt(
        tmp_path,
        both(each("annotations", category_id=lambda _: 0), lambda content: content["categories"].pop()),
    )
    labels = read_labels(path)
    assert labels.report.classes == {"cat": 12}


def test_boxes_that_are_only_outlined_are_drawn_around(tmp_path: Path) -> None:
    def spoil(content: dict[str, Any]) -> None:
        box = content["annotations"][0]
        del box["bbox"]
        box["segmentation"] = [[5, 6, 15, 6, 15, 26], [1, 8, 3, 8, 2, 9]]

    assert read_labels(spoilt(tmp_path, spoil)).xywh[0].tolist() == [1, 6, 14, 20]


def test_boxes_to_ignore_are_crowds(tmp_path: Path) -> None:
    """Training drops them, pycocotools would ask for them: as crowds they are neither learnt nor scored."""
    path = spoilt(tmp_path, lambda content: content["annotations"][0].update(ignore=1))
    labels = read_labels(path)
    assert (labels.report.boxes, labels.report.crowds) == (11, 1)
    written = json.loads(sound_labels(labels, tmp_path / "new.json").read_text())
    assert written["annotations"][0]["iscrowd"] == 1
    assert "ignore" not in written["annotations"][0]


@pytest.mark.parametrize(
    ("spoil", "left"),
    [
        (lambda content: content["annotations"][0].update(bbox=[5, 5, 0, 9]), "without width or height"),
        (lambda content: content["annotations"][0].update(bbox=[]), "empty 'bbox'"),
        (lambda content: content["annotations"][0].update(image_id=77), "not in 'images', such as 77"),
    ],
)
def test_what_nothing_can_be_learnt_from_is_left_out_and_told(
    spoil: Spoil, left: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = read_labels(spoilt(tmp_path, spoil))
    assert labels.report.boxes == 11
    assert f"left out: {'annotations with an ' if 'empty' in left else 'boxes '}" in capsys.readouterr().err
    assert left in labels.report.line()
    assert "annotations[0] (id 10)" in labels.report.line()


def many(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Make 200 boxes of one image, so that one is half a percent."""
    content["annotations"] = [
        {"id": number + 1, "image_id": 1, "category_id": 3, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0}
        for number in range(200)
    ]
    return content["annotations"]  # type: ignore[no-any-return]


def test_one_box_in_two_hundred_over_the_edge_is_cut(tmp_path: Path) -> None:
    path = spoilt(tmp_path, lambda content: many(content)[7].update(bbox=[50, 40, 30, 20]))
    labels = read_labels(path)
    assert labels.xywh[7].tolist() == [50, 40, 14, 8]
    assert labels.areas[7] == 14 * 8
    assert "cut there (annotations[7] (id 8))" in labels.report.line()


def test_a_pixel_over_the_edge_is_how_some_tools_count(tmp_path: Path) -> None:
    path = spoilt(tmp_path, each("annotations", bbox=lambda _: [44, 38, 21, 11]))
    assert read_labels(path).sound


REFUSED: dict[str, tuple[Spoil, str]] = {
    "no image id": (lambda content: content["images"][2].pop("id"), r"images\[2\] has no 'id'"),
    "no image_id": (
        lambda content: content["annotations"][3].pop("image_id"),
        r"annotations\[3\] \(id 13\) has no 'image_id'",
    ),
    "no box": (
        lambda content: content["annotations"][3].pop("bbox"),
        r"annotations\[3\] \(id 13\) has no 'bbox'",
    ),
    "three sides": (
        lambda content: content["annotations"][3].update(bbox=[1, 2, 3]),
        r"\(id 13\) has 'bbox' \[1, 2, 3\]; expected four numbers",
    ),
    "an unknown class": (
        lambda content: content["annotations"][3].update(category_id=1),
        r"annotations\[3\] \(id 13\) has 'category_id' 1, which is not in 'categories' \(3, 4\)",
    ),
    "a crowd that is maybe": (
        lambda content: content["annotations"][3].update(iscrowd="maybe"),
        r"has 'iscrowd' \"maybe\"; expected 0 or 1",
    ),
    "two images of one id": (
        lambda content: content["images"][1].update(id=1),
        r"images\[1\]: image ids are not unique: 'id' 1 stands for 1.png and 2.png",
    ),
    "one name, two sizes": (
        lambda content: content["images"][1].update(file_name="1.png", width=99),
        r"images\[1\] \(id 2\) has 'file_name' 1.png as another entry, 64x48 there and 99x48 here",
    ),
    "two classes of one id": (
        lambda content: content["categories"][1].update(id=3),
        r"'id' 3 stands for 'cat' and 'dog'",
    ),
    "fractions": (
        each(
            "annotations",
            bbox=lambda box: [side / whole for side, whole in zip(box["bbox"], (64, 48) * 2, strict=True)],
        ),
        r"annotations\[0\] \(id 10\) has 'bbox' .* in fractions of the image .*--boxes fractions",
    ),
    "corners": (
        each("annotations", bbox=lambda _: [30, 20, 60, 40]),
        r"over its image of 64x48.*\[x1, y1, x2, y2\].*--boxes corners",
    ),
    "boxes of another size": (
        each("annotations", bbox=lambda box: [8 * side for side in box["bbox"]]),
        r"boxes of another size",
    ),
    "lists of two files": (
        each("annotations", image_id=lambda box: box["image_id"] + 500),
        "names image 501",
    ),
    "no name": (
        lambda content: content["images"][2].pop("file_name"),
        r"images\[2\] \(id 3\) has no 'file_name'",
    ),
    "a name that no system has": (
        lambda content: content["images"][2].update(file_name="a\0b"),
        r"images\[2\].* has 'file_name'",
    ),
    "no entry": (
        lambda content: content["annotations"].insert(0, 5),
        r"annotations\[0\] is 5; expected an object",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_two_meanings_is_refused_by_file_entry_and_field(kind: str, tmp_path: Path) -> None:
    spoil, message = REFUSED[kind]
    path = spoilt(tmp_path, spoil)
    with pytest.raises(InputError, match=message) as caught:
        read_labels(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert f"aligndet labels check {path}" in str(caught.value)
    assert inspect_labels(path).report.refused


def test_all_that_is_refused_is_in_the_report(tmp_path: Path) -> None:
    spoil = both(REFUSED["no image_id"][0], REFUSED["no name"][0], REFUSED["three sides"][0])
    report = inspect_labels(spoilt(tmp_path, spoil)).report
    assert [note.first for note in report.refused] == [
        "images[2] (id 3)",
        "annotations[3] (id 13)",
        "annotations[3] (id 13)",
    ]


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "utf-8 with a mark": lambda data: codecs.BOM_UTF8 + data,
    "utf-16": lambda data: data.decode().encode("utf-16"),
    "utf-16, big end first": lambda data: codecs.BOM_UTF16_BE + data.decode().encode("utf-16-be"),
}


@pytest.mark.parametrize("kind", PACKED)
def test_packed_files_and_other_encodings_are_read(kind: str, tmp_path: Path) -> None:
    content = sound_coco()
    content["categories"][0]["name"] = "Möwe"
    path = tmp_path / "packed.json.gz"
    path.write_bytes(PACKED[kind](json.dumps(content, ensure_ascii=False).encode()))
    labels = read_labels(path)
    assert labels.classes == ("Möwe", "dog")
    assert len(labels.rows) == 12
    assert not labels.sound  # mmdet would not read it
    assert read_labels(sound_labels(labels, tmp_path / "plain.json")).sound


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"{", "ends in the middle"),
        (b'{"images": {}}', "'images' is {}; expected a list"),
        (b'{"images": []}', "a list under 'annotations'"),
        (b"[]", "Label Studio"),
        (b'[{"image_id": 1, "bbox": [1, 1, 2, 2], "score": 1}]', "a list of results"),
        (b'{"images": [' + b"[" * 100_000, "too deep"),
        (b'{"images": [{"id": ' + b"1" * 5000 + b"}]}", "not valid json"),
        ('{"images": [{"id": 1, "file_name": "\xe4.jpg"}]}'.encode("latin-1"), "iconv -f latin1 -t utf-8"),
        (gzip.compress(b'{"images": []}', mtime=0)[:-9], "cannot be unpacked"),
        (b'{"images": [], "images": [], "annotations": [], "a": [], "images": []}', "two lists 'images'"),
        (b'{"version": "5", "shapes": []}', "an export of LabelMe"),
    ],
)
def test_what_is_no_label_file_is_said_in_a_line(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"wrong\.json") as caught:
        read_labels(path)
    assert message in str(caught.value)


def test_a_part_keeps_ids_and_further_keys(tmp_path: Path) -> None:
    content = sound_coco()
    labels = read_labels(save(tmp_path / "a.json", content))
    mask = labels.image_ids % 2 == 0
    write_labels(labels, {tmp_path / "part.json": mask, tmp_path / "none.json": mask & False})
    part = json.loads((tmp_path / "part.json").read_text())
    assert part["images"] == content["images"][1::2]
    assert part["annotations"] == [box for box in content["annotations"] if box["image_id"] % 2 == 0]
    assert part["categories"] == content["categories"]
    assert part["info"] == content["info"]
    empty = json.loads((tmp_path / "none.json").read_text())
    assert (empty["images"], empty["annotations"], empty["categories"]) == ([], [], content["categories"])


def test_boxes_before_their_images_are_read_and_written(tmp_path: Path) -> None:
    content = sound_coco()
    turned = {key: content[key] for key in ("annotations", "categories", "images", "info")}
    labels = read_labels(save(tmp_path / "a.json", turned))
    assert boxes_of(labels) == boxes_of(read_labels(save(tmp_path / "b.json", content)))
    write_labels(labels, {tmp_path / "c.json": None})
    assert json.loads((tmp_path / "c.json").read_text()) == content


def test_a_file_that_is_written_again_is_read_again(tmp_path: Path) -> None:
    path = save(tmp_path / "a.json", sound_coco(2))
    assert len(read_labels(path).names) == 2
    save(path, sound_coco(5))
    assert len(read_labels(path).names) == 5


def test_files_of_other_classes_are_named(tmp_path: Path) -> None:
    turned = sound_coco()
    turned["categories"].reverse()
    first, second = (save(tmp_path / f"{n}.json", c) for n, c in ((1, sound_coco()), (2, turned)))
    with pytest.raises(InputError, match=r"2\.json: its categories are \['dog', 'cat'\]"):
        class_names(read_labels(first), read_labels(second))


def test_blocks_are_cut_at_entries_whatever_is_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists of objects in an entry, and text that looks like the end of one, do not end it."""
    content = sound_coco(40)
    for number, box in enumerate(content["annotations"]):
        box["attributes"] = [{"name": "a }, {"}, {"name": "}, "}] * (number % 4)
    path = save(tmp_path / "a.json", content)
    for block in (7, 64, 500, 1 << 18):
        monkeypatch.setattr("aligndet.common.json_stream.BLOCK", block)
        labels = read_labels(path.rename(tmp_path / f"{block}.json"))
        path = labels.path
        assert labels.box_ids.tolist() == [box["id"] for box in content["annotations"]]
        assert labels.report.boxes == 80
