"""Label fractions: names, sizes, determinism, disjointness."""

import json
from pathlib import Path
from typing import Any

import pytest

from aligndet.common.errors import InputError
from aligndet.labels.split import draw_images, fraction_name, split_halves, split_labels
from tests.command import command

main = command("labels split")


def coco(num_images: int, boxes_per_image: int = 2) -> dict[str, Any]:
    """A COCO dictionary whose image ids are not 0..n-1."""
    images = [
        {"id": 100 + 3 * i, "file_name": f"{i}.jpg", "width": 8, "height": 8} for i in range(num_images)
    ]
    boxes = [
        {"id": i * boxes_per_image + j, "image_id": image["id"], "category_id": 1, "bbox": [0, 0, 4, 4]}
        for i, image in enumerate(images)
        for j in range(boxes_per_image)
    ]
    return {
        "info": {"x": 1},
        "licenses": [],
        "images": images,
        "annotations": boxes,
        "categories": [{"id": 1, "name": "a"}],
    }


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    path = tmp_path / "instances_train.json"
    path.write_text(json.dumps(coco(60)))
    return path


def ids(path: Path) -> set[int]:
    return {image["id"] for image in json.loads(path.read_text())["images"]}


def test_names_are_those_of_soft_teacher(annotations: Path, tmp_path: Path) -> None:
    split_labels(annotations, tmp_path / "out", [10, 0.5], [1])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "instances_train.1@0.5-unlabeled.json",
        "instances_train.1@0.5.json",
        "instances_train.1@10-unlabeled.json",
        "instances_train.1@10.json",
    ]
    assert fraction_name("instances_train2017", 3, 1.0) == "instances_train2017.3@1"


@pytest.mark.parametrize(
    ("percent", "expected"),
    [(10, 6), (100, 60), (1, 1), (0.01, 1), (25, 15)],
    ids=["plain", "all", "rounds to one", "at least one", "quarter"],
)
def test_sizes(annotations: Path, tmp_path: Path, percent: float, expected: int) -> None:
    (fraction,) = split_labels(annotations, tmp_path / "out", [percent], [1])
    assert fraction.num_images == len(ids(fraction.labeled)) == expected
    assert ids(fraction.labeled) | ids(fraction.unlabeled) == ids(annotations)
    assert not ids(fraction.labeled) & ids(fraction.unlabeled)


def test_boxes_follow_their_images_and_the_rest_stays(annotations: Path, tmp_path: Path) -> None:
    (fraction,) = split_labels(annotations, tmp_path / "out", [10], [1])
    part = json.loads(fraction.labeled.read_text())
    assert {box["image_id"] for box in part["annotations"]} == ids(fraction.labeled)
    assert len(part["annotations"]) == 2 * len(part["images"]) == fraction.num_boxes
    assert part["categories"] == [{"id": 1, "name": "a"}]
    assert part["info"] == {"x": 1}


def test_deterministic_and_folds_and_seeds_differ(annotations: Path, tmp_path: Path) -> None:
    first = split_labels(annotations, tmp_path / "a", [10], [1, 2])
    again = split_labels(annotations, tmp_path / "b", [10], [1, 2])
    other = split_labels(annotations, tmp_path / "c", [10], [1], seed=1)
    assert [f.labeled.read_bytes() for f in first] == [f.labeled.read_bytes() for f in again]
    assert ids(first[0].labeled) != ids(first[1].labeled)
    assert ids(first[0].labeled) != ids(other[0].labeled)


def test_draw_does_not_depend_on_the_order_of_images() -> None:
    numbers = list(range(50))
    assert draw_images(numbers, 20, 1) == draw_images(numbers[::-1], 20, 1)


def test_draw_is_uniform() -> None:
    counts = [0] * 20
    for fold in range(2000):
        for image in draw_images(range(20), 10, fold):
            counts[image] += 1
    assert sum(counts) == 4000
    assert min(counts) > 140  # 200 expected, standard deviation 13
    assert max(counts) < 260


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_percent_out_of_range(percent: float) -> None:
    with pytest.raises(InputError, match="percent must be in"):
        draw_images([1, 2], percent, 1)


def test_halves_are_disjoint_and_complete(annotations: Path, tmp_path: Path) -> None:
    tune, report = split_halves(annotations, tmp_path)
    assert not ids(tune) & ids(report)
    assert ids(tune) | ids(report) == ids(annotations)
    assert len(ids(tune)) == 30
    before = tune.read_bytes()
    split_halves(annotations, tmp_path)
    assert tune.read_bytes() == before


def test_not_coco_names_the_missing_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"images": []}))
    assert main([path, tmp_path / "out"]) == 2
    assert "'annotations'" in capsys.readouterr().err


def test_tool_prints_what_it_wrote(
    annotations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(annotations), str(tmp_path / "out"), "--percent", "10", "--folds", "2"]) == 0
    assert "instances_train.2@10.json  6 images, 12 boxes" in capsys.readouterr().out
