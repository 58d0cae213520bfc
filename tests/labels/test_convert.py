"""``aligndet labels convert``: every kind becomes COCO json; a person decides what has two meanings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aligndet.common.errors import InputError
from aligndet.common.labels.reader import read_labels
from aligndet.labels.convert import convert_labels
from tests.command import command
from tests.small_labels import save, sound_coco

convert = command("labels convert")


def test_a_sound_file_stays_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(tmp_path / "a.json", sound_coco())
    assert convert([source, tmp_path / "new" / "out.json"]) == 0
    assert json.loads((tmp_path / "new" / "out.json").read_text()) == sound_coco()
    assert "12 boxes of 2 classes in 6 images" in capsys.readouterr().out


@pytest.mark.parametrize("boxes", ["fractions", "corners", "corner-fractions", "centres"])
def test_a_person_says_what_the_boxes_are(boxes: str, tmp_path: Path) -> None:
    """Whatever the four numbers were, the boxes come out as they are in the sound file."""
    content = sound_coco()
    for box in content["annotations"]:
        x, y, w, h = box["bbox"]
        if boxes == "centres":
            box["bbox"] = [x + w / 2, y + h / 2, w, h]
        else:
            far = [w, h] if boxes == "fractions" else [x + w, y + h]
            whole = [1, 1] if boxes == "corners" else [64, 48]
            box["bbox"] = [side / size for side, size in zip([x, y, *far], [*whole, *whole], strict=True)]
    source = save(tmp_path / "a.json", content)
    convert_labels(source, tmp_path / "out.json", boxes=boxes)
    written = read_labels(tmp_path / "out.json")
    right = [box["bbox"] for box in sound_coco()["annotations"]]
    assert written.xywh.tolist() == [pytest.approx(box) for box in right]
    assert written.areas.tolist() == [pytest.approx(w * h) for _, _, w, h in right]


def test_entries_that_are_refused_can_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = sound_coco()
    del content["annotations"][3]["image_id"]
    source = save(tmp_path / "a.json", content)
    assert convert([source, tmp_path / "out.json"]) == 2
    assert "mend: aligndet labels convert" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()
    assert convert([source, tmp_path / "out.json", "--leave-out"]) == 0
    assert "refused: annotations[3] (id 13) has no 'image_id'" in capsys.readouterr().out
    written = json.loads((tmp_path / "out.json").read_text())
    assert [box["id"] for box in written["annotations"]] == [10, 11, 12, *range(14, 22)]


def test_what_is_wrong_with_the_whole_file_cannot_be_left_out(tmp_path: Path) -> None:
    content = sound_coco()
    content["images"][1]["id"] = 1
    source = save(tmp_path / "a.json", content)
    with pytest.raises(InputError, match="image ids are not unique"):
        convert_labels(source, tmp_path / "out.json", leave_out=True)


def test_a_file_is_not_written_over_itself(tmp_path: Path) -> None:
    source = save(tmp_path / "a.json", sound_coco())
    before = source.read_bytes()
    with pytest.raises(InputError, match="this is the source"):
        convert_labels(source, source)
    assert source.read_bytes() == before
