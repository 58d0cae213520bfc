"""Label fractions: names, sizes, determinism, disjointness."""

import json
from pathlib import Path
from typing import Any

import numpy as np
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


def test_names_of_other_draws_are_not_those_of_soft_teacher(annotations: Path, tmp_path: Path) -> None:
    """A name stands for its images: another way of drawing, or another seed, has another name."""
    split_labels(annotations, tmp_path / "out", [10, 0.5], [1])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "instances_train.draw1@0.5-unlabeled.json",
        "instances_train.draw1@0.5.json",
        "instances_train.draw1@10-unlabeled.json",
        "instances_train.draw1@10.json",
    ]
    assert fraction_name("instances_train2017", 3, 1.0, "soft-teacher") == "instances_train2017.3@1"
    assert fraction_name("train", 3, 20, "soft-teacher", seed=7) == "train.seed7.3@20"
    assert fraction_name("train", 3, 20, seed=7) == "train.seed7.draw3@20"


@pytest.mark.parametrize("percent", [1, 5, 10, 20])
def test_like_soft_teacher_draws_the_images_of_its_script(
    percent: int, annotations: Path, tmp_path: Path
) -> None:
    """The script seeds numpy with the fold and chooses places in the file, none twice, rounded down."""
    path = tmp_path / "train.json"
    path.write_text(json.dumps(coco(250)))
    split_labels(path, tmp_path / "out", [percent], [1, 2], like="soft-teacher")
    for fold in (1, 2):
        np.random.seed(fold)
        chosen = np.random.choice(range(250), size=int(percent / 100.0 * 250), replace=False)
        assert ids(tmp_path / "out" / f"train.{fold}@{percent}.json") == {100 + 3 * int(i) for i in chosen}


def test_like_soft_teacher_at_twenty_percent_of_ten_images() -> None:
    """Pinned: what numpy's generator of every version gives for fold 1."""
    mask = draw_images(range(10), 20, 1, like="soft-teacher")
    assert np.flatnonzero(mask).tolist() == [2, 9]


def test_like_mmdet_draws_some_images_twice() -> None:
    mask = draw_images(range(1000), 20, 1, like="mmdet")
    assert 150 < mask.sum() < 200


def test_ids_and_masks_of_the_whole_file_stay(tmp_path: Path) -> None:
    """What no reader of boxes needs (masks, licences, further keys) goes with its image, ids as they were."""
    whole = coco(20)
    for number, box in enumerate(whole["annotations"]):
        box.update(id=50 + number, segmentation=[[0, 0, 4, 0, 4, 4]], area=8.0, iscrowd=0)
    path = tmp_path / "t.json"
    path.write_text(json.dumps(whole))
    (fraction,) = split_labels(path, tmp_path / "out", [50], [1])
    part = json.loads(fraction.labeled.read_text())
    assert all(image in whole["images"] for image in part["images"])
    assert all(box in whole["annotations"] for box in part["annotations"])
    assert len(part["annotations"]) == 20


def test_a_fraction_does_not_replace_its_source(tmp_path: Path) -> None:
    path = tmp_path / "t.1@100.json"
    path.write_text(json.dumps(coco(4)))
    before = path.read_bytes()
    (tmp_path / "t.json").symlink_to(path)
    with pytest.raises(InputError, match="this is the source"):
        split_labels(tmp_path / "t.json", tmp_path, [100], [1], like="soft-teacher")
    assert path.read_bytes() == before


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
    numbers = np.random.default_rng(0).permutation(50)
    drawn = numbers[draw_images(numbers.tolist(), 20, 1)]
    assert sorted(drawn) == np.flatnonzero(draw_images(range(50), 20, 1)).tolist()


def test_draw_is_uniform() -> None:
    counts = [0] * 20
    for fold in range(2000):
        for image in np.flatnonzero(draw_images(range(20), 10, fold)):
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
    assert "instances_train.draw2@10.json  6 images, 12 boxes" in capsys.readouterr().out
