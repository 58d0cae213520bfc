"""Recall and average recall against a literal count, budgets, sizes, and names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aligndet.common.errors import InputError
from aligndet.common.labels.reader import read_labels
from aligndet.evaluation.recall import coverage, ranked_rows, recall_of_files
from aligndet.proposals.boxes import iou_matrix
from aligndet.proposals.store import ProposalStore
from aligndet.proposals.store_writer import StoreWriter
from tests.command import command

main = command("proposals recall")

RNG = np.random.default_rng(0)


def random_boxes(count: int, low: float = 5, high: float = 150) -> np.ndarray:
    corner = RNG.uniform(0, 100, (count, 2))
    return np.concatenate([corner, corner + RNG.uniform(low, high, (count, 2))], axis=1).astype(np.float32)


def write_truth(path: Path, boxes: dict[str, np.ndarray], **more: Any) -> Path:
    images = [{"id": i, "file_name": name, "width": 300, "height": 300} for i, name in enumerate(boxes)]
    rows = [
        {"image_id": i, "bbox": [x1, y1, x2 - x1, y2 - y1], "category_id": 1, **more}
        for i, found in enumerate(boxes.values())
        for x1, y1, x2, y2 in found.astype(float).tolist()
    ]
    path.write_text(json.dumps({"images": images, "annotations": rows}))
    return path


def ordered(boxes: np.ndarray) -> np.ndarray:
    """The same corners, the smaller ones first."""
    return np.sort(boxes.reshape(-1, 2, 2), axis=1).reshape(-1, 4)


def write_store(path: Path, boxes: dict[str, np.ndarray], scores: bool = False) -> ProposalStore:
    with StoreWriter(path) as writer:
        for number, (name, found) in enumerate(boxes.items()):
            values = RNG.random(len(found)) if scores else None
            writer.append(name, number, (300, 300), found, scores=values)
    return ProposalStore.open(path)


def counted(
    proposals: dict[str, np.ndarray],
    truth: dict[str, np.ndarray],
    budget: int,
    iou: float,
    area: tuple[float, float],
) -> float:
    """Recall by counting, box by box."""
    hits = []
    for name, true in truth.items():
        for box in true:
            if area[0] <= (box[2] - box[0]) * (box[3] - box[1]) < area[1]:
                first = proposals[name][:budget]
                hits.append(any(iou_matrix(box[None], other[None])[0, 0] >= iou for other in first))
    return float(np.mean(hits))


def test_recall_and_average_recall_equal_a_literal_count(tmp_path: Path) -> None:
    truth = {f"{n}.jpg": random_boxes(6) for n in range(8)}
    found = {
        name: np.concatenate([ordered(boxes + RNG.normal(0, 6, boxes.shape)), random_boxes(60)])
        for name, boxes in truth.items()
    }
    found = {name: RNG.permutation(boxes).astype(np.float32) for name, boxes in found.items()}
    store = write_store(tmp_path / "s", found)
    true = read_labels(write_truth(tmp_path / "t.json", truth))
    result = coverage(store, true, (5, 20, 500))
    sizes = {"all": (0, 1e9), "small": (0, 1024), "medium": (1024, 9216), "large": (9216, 1e9)}
    for column, budget in enumerate((5, 20, 500)):
        for size, area in sizes.items():
            assert result.recall(0.5, size)[column] == pytest.approx(counted(found, truth, budget, 0.5, area))
            steps = [counted(found, truth, budget, iou / 100, area) for iou in range(50, 100, 5)]
            assert result.average_recall(size)[column] == pytest.approx(np.mean(steps)), (size, budget)
    assert 0 < result.recall()[0] < result.recall()[1] < result.recall()[2] <= 1
    assert (result.images, result.missing, result.mean) == (8, 0, 66)


def test_scores_decide_the_rank(tmp_path: Path) -> None:
    store = write_store(tmp_path / "s", {"a": random_boxes(9)}, scores=True)
    scores = store.columns["scores"]
    assert ranked_rows(store, 0).tolist() == np.argsort(-scores).tolist()
    best = store.boxes(0)[int(np.argmax(scores))]
    true = read_labels(write_truth(tmp_path / "t.json", {"a": best[None]}))
    assert coverage(store, true, (1,)).recall(0.99).tolist() == [1.0]


def test_images_are_matched_by_name_or_short_name(tmp_path: Path) -> None:
    box = random_boxes(1)
    store = write_store(tmp_path / "s", {"x/a.jpg": box, "x/b.jpg": box, "y/b.jpg": box})
    truth = read_labels(
        write_truth(tmp_path / "t.json", {"train/a.jpg": box, "z/b.jpg": box, "y/b.jpg": box})
    )
    result = coverage(store, truth, (1,))
    assert (result.images, result.missing) == (2, 1)  # z/b.jpg may be either
    assert result.recall().tolist() == [1.0]
    other = read_labels(write_truth(tmp_path / "o.json", {"c.jpg": box}))
    with pytest.raises(InputError, match=r"none of the 1 labelled images.*c\.jpg and x/a\.jpg"):
        coverage(store, other)


def test_images_without_proposals_or_true_boxes_count(tmp_path: Path) -> None:
    box = random_boxes(1)
    store = write_store(tmp_path / "s", {"a": np.zeros((0, 4)), "b": box, "c": box})
    path = write_truth(tmp_path / "t.json", {"a": box, "b": box, "c": np.zeros((0, 4))})
    result = coverage(store, read_labels(path), (10,))
    assert result.recall().tolist() == [0.5]
    assert result.mean == pytest.approx(2 / 3)
    assert recall_of_files(tmp_path / "s", path) == (0.5, 3)
    empty = coverage(store, read_labels(write_truth(tmp_path / "e.json", {"a": np.zeros((0, 4))})))
    assert np.isnan(empty.recall()).all()
    assert " -" in empty.table()


def test_tool_prints_the_table_and_writes_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    boxes = {"a": np.array([[0, 0, 20, 20], [50, 50, 250, 250]], np.float32)}
    write_store(tmp_path / "s", {"a": boxes["a"][1:]})
    truth = write_truth(tmp_path / "t.json", boxes)
    assert main([str(tmp_path / "s"), str(truth), "--json", str(tmp_path / "n.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["true", "boxes", "@10", "@50", "@100", "@300", "@1000"]
    assert lines[1].split() == ["recall", "IoU", "0.5", "2", *["0.500"] * 5]
    assert lines[3].split() == ["AR", ".5:.95", "small", "1", *["0.000"] * 5]
    assert lines[4].split() == ["AR", ".5:.95", "medium", "0", *["-"] * 5]
    assert lines[5].split() == ["AR", ".5:.95", "large", "1", *["1.000"] * 5]
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert numbers["recall"] == [0.5] * 5
    assert numbers["average_recall"]["medium"] == [None] * 5
    assert numbers["true_boxes"] == {"all": 2, "small": 1, "medium": 0, "large": 1}
    assert main([str(tmp_path / "s"), str(tmp_path / "none.json")]) == 2
    assert "none.json: no such file" in capsys.readouterr().err


def test_labels_of_another_size_are_brought_to_that_of_the_proposals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The images were resized after labelling: the boxes are the same share of the image, recall is 1."""
    box = random_boxes(3)
    store = write_store(tmp_path / "s", {"a": box})
    path = write_truth(tmp_path / "t.json", {"a": 2 * box})
    content = json.loads(path.read_text())
    content["images"][0].update(width=600, height=600)
    path.write_text(json.dumps(content))
    assert coverage(store, read_labels(path), (10,)).recall(0.99).tolist() == [1.0]
    assert "a is 600x600 in the labels and 300x300 in the proposals" in capsys.readouterr().err
    content["images"][0].update(width=600, height=700)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="600x700 in the labels and 300x300"):
        coverage(store, read_labels(path), (10,))
