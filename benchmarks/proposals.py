"""Proposal methods side by side, on each image in turn in one process: seconds, boxes, recall.

    python benchmarks/proposals.py annotations/val.json --images-root images --count 100
    python benchmarks/proposals.py annotations/val.json --images-root images --methods fast opencv-fast

A method whose library is missing is left out, with a line that says so. OpenCV's selective search needs an
interpreter of its own with opencv-contrib-python and numba (see aligndet/proposals/backends/opencv.py):

    PYTHONPATH=. .venv-proposals/bin/python benchmarks/proposals.py ...

Times are of one thread, from decoded image to boxes: ours with its ranking, the others without (OpenCV's
boxes are ranked by support, as our `opencv` backend does, outside the clock; the official recipe has no
rank). The first image is searched once before, so that neither compilation nor its cache counts. Left half:
all boxes of the method. Right half: what training gets, the first 50 and 100 boxes after the paper's filter
(with `--suppress`).
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from aligndet.common.images import read_image
from aligndet.proposals.backends import make_backend
from aligndet.proposals.backends.opencv import support
from aligndet.proposals.boxes import iou_matrix
from aligndet.proposals.filters import FilterOptions, filter_boxes

Array = np.ndarray
Search = Callable[[Array], tuple[Array, Array | None]]

IOUS = np.linspace(0.5, 0.95, 10)
BUDGETS = (50, 100)
OPENCV_MODES = {
    "single": "switchToSingleStrategy",
    "fast": "switchToSelectiveSearchFast",
    "quality": "switchToSelectiveSearchQuality",
}


def ours(mode: str) -> Search:
    backend = make_backend("fast", mode=mode)
    return lambda image: backend(image)[:2]


def official() -> Search:
    """Return the official recipe, whose defaults are scale 300, sigma 0.9, min_size 100."""
    backend = make_backend("selectivesearch")
    return lambda image: backend(image)[:2]


def opencv(mode: str) -> Search:
    """OpenCV's engine without the ranking that our `opencv` backend adds, so that only OpenCV is timed."""
    contrib = getattr(cv2, "ximgproc", None)
    if contrib is None:
        raise ImportError("this cv2 has no ximgproc (see aligndet/proposals/backends/opencv.py)")

    def search(image: Array) -> tuple[Array, None]:
        engine = contrib.segmentation.createSelectiveSearchSegmentation()
        engine.setBaseImage(image)
        getattr(engine, OPENCV_MODES[mode])()
        rects = np.asarray(engine.process(), dtype=np.float32).reshape(-1, 4)
        return np.concatenate([rects[:, :2], rects[:, :2] + rects[:, 2:]], axis=1), None

    return search


METHODS: dict[str, Callable[[], Search]] = {
    "single": lambda: ours("single"),
    "fast": lambda: ours("fast"),
    "quality": lambda: ours("quality"),
    "opencv-single": lambda: opencv("single"),
    "opencv-fast": lambda: opencv("fast"),
    "opencv-quality": lambda: opencv("quality"),
    "selectivesearch": official,
}


@dataclass
class Tally:
    """What one method gave: seconds and boxes per image, and for each true box the IoU of the best box."""

    seconds: list[float] = field(default_factory=list)
    boxes: list[int] = field(default_factory=list)
    filtered: list[int] = field(default_factory=list)
    best: list[Array] = field(default_factory=list)  # (M_i,) per image
    best_of: dict[int, list[Array]] = field(default_factory=lambda: {budget: [] for budget in BUDGETS})

    def row(self, name: str) -> str:
        """A line of the table."""
        cells = [f"{statistics.fmean(self.seconds):.3f}", f"{statistics.fmean(self.boxes):.0f}"]
        cells += [*recall_and_ar(self.best), f"{statistics.fmean(self.filtered):.0f}"]
        for budget in BUDGETS:
            cells.append(" / ".join(recall_and_ar(self.best_of[budget])))
        return f"| {name} | " + " | ".join(cells) + " |"


def recall_and_ar(best: list[Array]) -> list[str]:
    """Recall at IoU 0.5 and mean recall over IOUS, of the IoUs of the best boxes, image by image."""
    values = np.concatenate(best)
    return [
        f"{(values >= 0.5).mean():.3f}",
        f"{np.mean([(values >= iou - 1e-9).mean() for iou in IOUS]):.3f}",
    ]


def read_truth(annotations: Path, count: int) -> list[tuple[str, Array]]:
    """Read file name and boxes (M, 4) xyxy of the first `count` images, without crowds."""
    data = json.loads(annotations.read_text(encoding="utf-8"))
    boxes: dict[int, list[list[float]]] = {image["id"]: [] for image in data["images"]}
    for row in data["annotations"]:
        if not row.get("iscrowd"):
            x, y, w, h = row["bbox"]
            boxes[row["image_id"]].append([x, y, x + w, y + h])
    images = data["images"][: count or None]
    return [(image["file_name"], np.asarray(boxes[image["id"]]).reshape(-1, 4)) for image in images]


def best_iou(truth: Array, boxes: Array) -> Array:
    """(M,) IoU of the best of boxes (N, 4) with each of truth (M, 4)."""
    return iou_matrix(truth, boxes).max(axis=1, initial=0)


def measure(
    method: str, search: Search, name: str, image: Array, truth: Array, tally: Tally, rule: FilterOptions
) -> None:
    """Search one image and write down what came out."""
    start = time.perf_counter()
    boxes, scores = search(image)
    tally.seconds.append(time.perf_counter() - start)
    tally.boxes.append(len(np.unique(boxes, axis=0)))
    tally.best.append(best_iou(truth, boxes))
    if scores is None and method.startswith("opencv"):
        scores = support(boxes)  # as our `opencv` backend ranks; the official recipe has no rank
    height, width = image.shape[:2]
    kept, _ = filter_boxes(boxes, scores, height, width, rule, name)
    tally.filtered.append(len(kept))
    for budget in BUDGETS:
        tally.best_of[budget].append(best_iou(truth, kept[:budget]))


def available(names: list[str]) -> dict[str, Search]:
    """Return the methods that this interpreter can run, and print a line for each that it cannot."""
    searches = {}
    for name in names:
        try:
            searches[name] = METHODS[name]()
        except ImportError as error:
            print(f"left out: {name}: {str(error).splitlines()[0]}")
    return searches


def processor() -> str:
    """Its name, where the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("annotations", type=Path, help="labelled COCO json")
    parser.add_argument("--images-root", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100, help="the first images of the json; 0 takes all")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD")
    parser.add_argument(
        "--suppress", type=float, default=0.5, help="IoU of the filter's suppression; 1 for none"
    )
    args = parser.parse_args(argv)
    cv2.setNumThreads(1)
    warnings.simplefilter("ignore")
    searches = available(args.methods)
    tallies = {name: Tally() for name in searches}
    rule = FilterOptions(iou=args.suppress, max_per_image=0)
    images = read_truth(args.annotations, args.count)
    for number, (name, truth) in enumerate(images):
        image = read_image(args.images_root / name)
        for method, search in searches.items():
            if number == 0:
                search(image)
            measure(method, search, name, image, truth, tallies[method], rule)
    print(f"{len(images)} images, {sum(len(truth) for _, truth in images)} true boxes; {processor()}")
    print(
        "| method | s/image | boxes | recall@0.5 | AR | filtered boxes | first 50: recall / AR | first 100 |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, tally in tallies.items():
        print(tally.row(name))
    for mode in OPENCV_MODES:
        if {mode, f"opencv-{mode}"} <= tallies.keys():
            ratio = sum(tallies[f"opencv-{mode}"].seconds) / sum(tallies[mode].seconds)
            print(f"{mode} takes 1/{ratio:.1f} of the time of opencv-{mode}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
