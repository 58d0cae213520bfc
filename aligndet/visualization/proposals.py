"""Images with their proposals in a grid."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .drawing import caption, draw_boxes, fit, instance_colour, montage


def draw_proposals(
    proposals: Mapping[str, Any],
    images: Path,
    count: int = 12,
    boxes: int = 30,
    columns: int = 4,
    long_side: int = 320,
    seed: int = 0,
) -> np.ndarray:
    """A montage of randomly chosen images and their proposals.

    Colours follow the category where there are several (clusters), else the number of the box. Of many boxes,
    those with the highest score are shown, or, without scores, some at random. Images that cannot be read are
    passed over.

    Args:
        proposals: a proposal file (COCO json), loaded.
        images: the folder its file names are relative to.
        count: images to show.
        boxes: boxes per image, at most.
        columns: of the montage.
        long_side: of each image in pixels.
        seed: of the choice.

    Raises:
        ValueError: none of the images can be read.
    """
    rng = np.random.default_rng(seed)
    by_image: dict[int, list[Mapping[str, Any]]] = {image["id"]: [] for image in proposals["images"]}
    for annotation in proposals["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    clustered = len(proposals.get("categories", ())) > 1
    tiles: list[np.ndarray] = []
    for index in rng.permutation(len(proposals["images"])):
        record = proposals["images"][index]
        pixels = cv2.imread(str(images / record["file_name"]), cv2.IMREAD_COLOR)
        if pixels is not None:
            chosen = _choose(by_image[record["id"]], boxes, rng)
            tile = _tile(pixels, chosen, long_side, clustered)
            tiles.append(caption(tile, f"{Path(record['file_name']).name}: {len(by_image[record['id']])}"))
        if len(tiles) == count:
            break
    if not tiles:
        raise ValueError(f"none of {len(proposals['images'])} images can be read in {images} (--images)")
    return montage(tiles, columns)


def _choose(
    annotations: list[Mapping[str, Any]], boxes: int, rng: np.random.Generator
) -> list[Mapping[str, Any]]:
    if annotations and "score" in annotations[0]:
        return sorted(annotations, key=lambda a: -a["score"])[:boxes]
    return [annotations[i] for i in rng.permutation(len(annotations))[:boxes]]


def _tile(
    pixels: np.ndarray, annotations: list[Mapping[str, Any]], long_side: int, clustered: bool
) -> np.ndarray:
    small = fit(pixels, long_side)
    corners = np.array([a["bbox"] for a in annotations], dtype=np.float64).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    corners *= small.shape[1] / pixels.shape[1]
    numbers = [a["category_id"] if clustered else i for i, a in enumerate(annotations)]
    return draw_boxes(small, corners, [instance_colour(number) for number in numbers], thickness=1)
