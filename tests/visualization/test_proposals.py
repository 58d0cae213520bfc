"""The montage shows boxes where the proposals are, by rank; the page and the picture hold the numbers too."""

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.common.labels.reader import read_labels
from aligndet.evaluation.recall import coverage
from aligndet.proposals.formats import read_proposals
from aligndet.proposals.store import ProposalStore
from aligndet.proposals.store_writer import StoreWriter
from aligndet.visualization.drawing import instance_colour
from aligndet.visualization.proposal_report import draw_statistics, statistics
from aligndet.visualization.proposals import FOUND, MISSED, draw_proposals, rank_colours
from tests.command import command

main = command("proposals show")

CAPTION = 20
GREY = [40, 40, 40]


def proposals(
    folder: Path, boxes: Sequence[Sequence[float]], info: dict[str, Any] | None = None, **columns: Any
) -> Path:
    """One image of 80 x 60 with boxes xyxy."""
    cv2.imwrite(str(folder / "a.png"), np.full((60, 80, 3), GREY, np.uint8))
    with StoreWriter(folder / "store", info) as writer:
        values: dict[str, Any] = {name: np.array(column) for name, column in columns.items()}
        writer.append("a.png", 7, (80, 60), np.array(boxes, np.float32), **values)
    return folder / "store"


def montage_of(folder: Path, *arguments: Any, **options: Any) -> np.ndarray:
    return draw_proposals(ProposalStore.open(folder / "store"), folder, *arguments, **options)[CAPTION:]


def labels(folder: Path, boxes: Sequence[Sequence[float]]) -> Path:
    """True boxes xywh of the image."""
    rows = [{"id": i, "image_id": 1, "bbox": box, "category_id": 1} for i, box in enumerate(boxes)]
    images = [{"id": 1, "file_name": "a.png", "width": 80, "height": 60}]
    path = folder / "truth.json"
    path.write_text(json.dumps({"images": images, "annotations": rows}))
    return path


def test_a_box_is_drawn_at_its_place(tmp_path: Path) -> None:
    proposals(tmp_path, [[20, 10, 60, 40]])
    picture = montage_of(tmp_path)
    assert picture.shape == (60, 80, 3)
    for row, column in [(10, 20), (39, 59), (10, 40)]:
        assert picture[row, column].tolist() == list(rank_colours(1)[0])
    assert picture[25, 40].tolist() == GREY


def test_boxes_shrink_with_the_image(tmp_path: Path) -> None:
    proposals(tmp_path, [[20, 10, 60, 40]])
    picture = montage_of(tmp_path, long_side=40)
    assert picture[5, 20].tolist() == list(rank_colours(1)[0])
    assert picture[12, 20].tolist() == GREY


def test_the_best_are_shown_in_the_colours_of_their_rank(tmp_path: Path) -> None:
    boxes = [[0, 0, 10, 10], [30, 30, 50, 50], [60, 5, 75, 20]]
    proposals(tmp_path, boxes, scores=[0.5, 0.9, 0.1])
    picture = montage_of(tmp_path, boxes=2)
    first, second = rank_colours(2)
    assert picture[30, 40].tolist() == list(first)
    assert picture[0, 5].tolist() == list(second)
    assert picture[5, 65].tolist() == GREY
    assert first[2] > 150 > first[0]  # red
    assert second[0] > 150 > second[2]  # blue


def test_where_two_boxes_cross_the_better_is_on_top(tmp_path: Path) -> None:
    proposals(tmp_path, [[10, 10, 40, 40], [10, 10, 60, 50]])
    assert montage_of(tmp_path)[10, 20].tolist() == list(rank_colours(2)[0])


def test_clusters_give_the_colours(tmp_path: Path) -> None:
    proposals(tmp_path, [[0, 0, 10, 10], [30, 30, 50, 50]], {"clusters": {"clusters": 5}}, clusters=[2, 2])
    picture = montage_of(tmp_path)
    assert picture[0, 5].tolist() == picture[30, 40].tolist() == list(instance_colour(2))


def test_true_boxes_show_whether_they_were_found(tmp_path: Path) -> None:
    proposals(tmp_path, [[20, 10, 60, 40]])
    truth = read_proposals(labels(tmp_path, [[22, 12, 36, 26], [2, 45, 10, 10]]))
    picture = montage_of(tmp_path, truth=truth)
    assert picture[12, 40].tolist() == list(FOUND)
    assert picture[45, 6].tolist() == list(MISSED)


def test_unreadable_and_unlabelled_images_are_passed_over(tmp_path: Path) -> None:
    proposals(tmp_path, [[20, 10, 60, 40]])
    with StoreWriter(tmp_path / "two") as writer:
        writer.append("gone.png", 1, (80, 60), np.array([[0, 0, 9, 9]]))
        writer.extend(ProposalStore.open(tmp_path / "store"))
    two = ProposalStore.open(tmp_path / "two")
    assert draw_proposals(two, tmp_path).shape == (60 + CAPTION, 80, 3)
    truth = read_proposals(labels(tmp_path, [[1, 1, 9, 9]]))
    cv2.imwrite(str(tmp_path / "gone.png"), np.zeros((30, 30, 3), np.uint8))  # there now, but not labelled
    assert draw_proposals(two, tmp_path, truth=truth).shape == (60 + CAPTION, 80, 3)
    (tmp_path / "a.png").unlink()
    with pytest.raises(InputError, match="none of 2 labelled images can be read"):
        draw_proposals(two, tmp_path, truth=truth)


def test_statistics_are_those_of_the_boxes(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s", {"clusters": {"clusters": 2}}) as writer:
        box = [0, 0, 20, 10]
        writer.append(
            "a", 1, (80, 40), np.array([box] * 4), scores=np.full(4, 0.25), clusters=np.array([0, 0, 0, 1])
        )
        writer.append("b", 2, (80, 40), np.zeros((0, 4)))
        writer.skip("c", "empty")
    text = statistics(ProposalStore.open(tmp_path / "s"))
    assert "4 proposals in 2 images\n1 images without a proposal, 1 skipped" in text
    rows = {line[:33].strip(): line[33:].split() for line in text.splitlines()[3:-1]}
    assert rows["boxes per image"] == ["2", "0.2", "1", "2", "3", "3.8"]
    assert set(rows["side, px (sqrt of area)"]) == {"14.1"}
    assert set(rows["size, share of the image's side"]) == {"0.25"}
    assert set(rows["width / height"]) == {"2"}
    assert set(rows["score"]) == {"0.25"}
    assert text.endswith("2 clusters of 1 to 3 proposals")


def test_statistics_of_many_images_are_of_a_sample(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s") as writer:
        for number in range(50):
            writer.append(str(number), number, (80, 40), np.array([[0, 0, 9, 9]] * (number + 1)))
    text = statistics(ProposalStore.open(tmp_path / "s"), most=5)
    assert "1275 proposals in 50 images (the rest of this table: of 5 of them)" in text


def test_the_curve_is_drawn_only_where_there_are_true_boxes(tmp_path: Path) -> None:
    store = ProposalStore.open(proposals(tmp_path, [[20, 10, 60, 40]], scores=[0.5]))
    without = draw_statistics(store, None)
    with_curve = draw_statistics(store, coverage(store, read_labels(labels(tmp_path, [[20, 10, 40, 30]]))))
    assert without.shape == with_curve.shape == (600, 1292, 3)
    assert (without != with_curve).any()


@pytest.mark.parametrize("suffix", [".png", ".html"])
def test_tool(tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    proposals(tmp_path, [[20, 10, 60, 40]])
    labels(tmp_path, [[20, 10, 40, 30], [1, 50, 5, 5]])
    out = tmp_path / f"out{suffix}"
    argv = [str(tmp_path / "store"), str(out), "--images", str(tmp_path)]
    assert main([*argv, "--val", str(tmp_path / "truth.json")]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"recall IoU 0\.5 +2 +0\.500", printed)
    if suffix == ".html":
        page = out.read_text()
        assert "recall IoU 0.5" in page
        assert "http" not in page  # needs no other file
        data = re.findall(r"base64,([^\"]+)", page)
        assert len(data) == 2
        pixels = np.frombuffer(base64.b64decode(data[0]), np.uint8)
        picture = np.asarray(cv2.imdecode(pixels, cv2.IMREAD_COLOR))
    else:
        picture = np.asarray(cv2.imread(str(out)))
    assert picture[CAPTION + 10, 40].tolist() == list(rank_colours(1)[0])


def test_mistakes_end_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proposals(tmp_path, [[20, 10, 60, 40]])
    argv = [str(tmp_path / "store"), str(tmp_path / "out.png"), "--images", str(tmp_path / "other")]
    assert main(argv) == 2
    assert "--images" in capsys.readouterr().err
