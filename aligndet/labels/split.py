"""Label fractions of a COCO file, named as Soft Teacher and mmdet's ``split_coco`` name them.

``instances_train2017.3@10.json`` holds 10 % of the images, drawn for fold 3, with their boxes, and
``instances_train2017.3@10-unlabeled.json`` holds the other images. Unlike mmdet's tool, images are drawn
*without* replacement, so that 10 % are 10 % and not the 9.5 % distinct ones of that many draws.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aligndet.common.coco import read_coco
from aligndet.common.errors import InputError
from aligndet.common.files import write_json


@dataclass(frozen=True)
class Fraction:
    """Describes one written label fraction.

    Attributes:
        percent: share of the images, in percent, in (0, 100].
        fold: number of the draw; another fold is another random seed.
        labeled, unlabeled: the two files; at 100 % the second has no images.
        num_images, num_boxes: what the labelled file holds.
    """

    percent: float
    fold: int
    labeled: Path
    unlabeled: Path
    num_images: int
    num_boxes: int


def fraction_name(stem: str, fold: int, percent: float) -> str:
    """``instances_train2017, 1, 10`` gives ``instances_train2017.1@10``; ``0.5`` stays ``0.5``."""
    return f"{stem}.{fold}@{percent:g}"


def draw_images(image_ids: Sequence[int], percent: float, fold: int, seed: int = 0) -> set[int]:
    """Draw ``percent`` % of the images, at least one, uniformly and without replacement.

    The draw depends on the set of ids, ``percent``, ``fold`` and ``seed`` only, not on the file's order.

    Raises:
        InputError: ``percent`` is outside (0, 100] or there are no images.
    """
    if not 0 < percent <= 100:
        raise InputError(f"percent must be in (0, 100], got {percent:g}")
    if not image_ids:
        raise InputError("no images to draw from: 'images' is empty")
    count = max(1, round(len(image_ids) * percent / 100))
    return set(random.Random(f"{seed}/{fold}/{percent:g}").sample(sorted(image_ids), count))


def select_images(coco: dict[str, Any], keep: set[int]) -> dict[str, Any]:
    """Select what of a COCO dictionary belongs to the image ids in ``keep``; other keys stay."""
    part = {key: value for key, value in coco.items() if key not in ("images", "annotations")}
    part["images"] = [image for image in coco["images"] if image["id"] in keep]
    part["annotations"] = [box for box in coco["annotations"] if box["image_id"] in keep]
    return part


def split_labels(
    annotations: Path, out_dir: Path, percents: Iterable[float], folds: Iterable[int], seed: int = 0
) -> list[Fraction]:
    """Write every (percent, fold) pair of one annotation file into ``out_dir``.

    Files are written atomically and are the same bytes each time for the same input.
    """
    coco = read_coco(annotations)
    ids = [image["id"] for image in coco["images"]]
    fractions = []
    for percent in percents:
        for fold in folds:
            keep = draw_images(ids, percent, fold, seed)
            name = fraction_name(annotations.stem, fold, percent)
            labeled, unlabeled = out_dir / f"{name}.json", out_dir / f"{name}-unlabeled.json"
            part = select_images(coco, keep)
            write_json(labeled, part)
            write_json(unlabeled, select_images(coco, set(ids) - keep))
            sizes = len(part["images"]), len(part["annotations"])
            fractions.append(Fraction(percent, fold, labeled, unlabeled, *sizes))
    return fractions


def split_halves(annotations: Path, out_dir: Path, seed: int = 0) -> tuple[Path, Path]:
    """Cut an annotation file into two disjoint halves of its images: ``.tune.json`` and ``.report.json``.

    With an odd number of images the second half has one more.

    Raises:
        InputError: fewer than two images.
    """
    coco = read_coco(annotations)
    ids = {image["id"] for image in coco["images"]}
    if len(ids) < 2:
        raise InputError(f"{annotations}: {len(ids)} images cannot be cut into two halves")
    first = set(random.Random(f"halves/{seed}").sample(sorted(ids), len(ids) // 2))
    tune, report = out_dir / f"{annotations.stem}.tune.json", out_dir / f"{annotations.stem}.report.json"
    write_json(tune, select_images(coco, first))
    write_json(report, select_images(coco, ids - first))
    return tune, report
