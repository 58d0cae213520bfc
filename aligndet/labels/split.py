"""Label fractions of a label file: images drawn uniformly, without regard to their classes.

That is how the paper's fractions were drawn, which are Soft Teacher's: every image of the file has the same
chance, none is drawn twice, and a fold is another draw. Three ways of drawing are known:

- ``own``: ``NAME.draw3@10.json`` holds 10 % of the images, rounded, by Python's generator; the draw depends
  on the ids, and not on the order of the file.
- ``soft-teacher``: ``NAME.3@10.json`` holds the images that Soft Teacher's ``semi_coco.py`` draws from the
  same file with ``--seed 3``: numpy's ``choice`` without replacement from places in the file, rounded down.
  (Its ``prepare_coco_data.sh`` adds a random offset to the seed, so that its own runs differ.)
- ``mmdet``: as mmdet's ``split_coco.py``, which draws with replacement: 10 % are 9.5 % different images.

``NAME.draw3@10-unlabeled.json`` holds the other images.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.labels.file import LabelFile
from aligndet.common.labels.reader import read_labels
from aligndet.common.labels.write import write_labels

Array = np.ndarray
Draw = Callable[[Sequence[int], float, int, int], Array]


@dataclass(frozen=True)
class Fraction:
    """Describes one written label fraction.

    Attributes:
        percent: share of the images, in percent, in (0, 100].
        fold: number of the draw; another fold is another random seed.
        labeled, unlabeled: the two files; at 100 % the second has no images.
        num_images, num_boxes: what the labelled file holds; crowds do not count.
        empty_classes: classes without a box in it.
    """

    percent: float
    fold: int
    labeled: Path
    unlabeled: Path
    num_images: int
    num_boxes: int
    empty_classes: int = 0


def fraction_name(stem: str, fold: int, percent: float, like: str = "own", seed: int = 0) -> str:
    """``instances_train2017, 1, 10`` gives ``instances_train2017.draw1@10``; ``0.5`` stays ``0.5``.

    Soft Teacher's and mmdet's names (``instances_train2017.1@10``) stand for their images only.
    """
    seeded = f".seed{seed}" if seed else ""
    return f"{stem}{seeded}.{'draw' if like == 'own' else ''}{fold}@{percent:g}"


def draw_own(image_ids: Sequence[int], percent: float, fold: int, seed: int) -> Array:
    """Places of ``percent`` % of the images, at least one, uniformly and without replacement.

    The draw depends on the set of ids, ``percent``, ``fold`` and ``seed`` only, not on the file's order.
    """
    count = max(1, round(len(image_ids) * percent / 100))
    chosen = random.Random(f"{seed}/{fold}/{percent:g}").sample(sorted(image_ids), count)
    return np.flatnonzero(np.isin(np.asarray(image_ids), chosen))


def draw_soft_teacher(image_ids: Sequence[int], percent: float, fold: int, seed: int) -> Array:
    """Places that ``numpy.random.seed(fold + seed)`` and ``choice`` without replacement give."""
    count = int(percent / 100.0 * len(image_ids))
    return np.random.RandomState(fold + seed).choice(range(len(image_ids)), size=count, replace=False)


def draw_mmdet(image_ids: Sequence[int], percent: float, fold: int, seed: int) -> Array:
    """Places that ``numpy.random.seed(fold + seed)`` and ``choice`` with replacement give, each once."""
    count = int(percent / 100.0 * len(image_ids))
    return np.unique(np.random.RandomState(fold + seed).choice(range(len(image_ids)), size=count))


#: Ways of drawing, by name.
DRAWS: dict[str, Draw] = {"own": draw_own, "soft-teacher": draw_soft_teacher, "mmdet": draw_mmdet}


def draw_images(
    image_ids: Sequence[int], percent: float, fold: int, seed: int = 0, like: str = "own"
) -> Array:
    """(N,) mask of the images drawn.

    Raises:
        InputError: ``percent`` is outside (0, 100], there are no images, or none would be drawn.
    """
    if not 0 < percent <= 100:
        raise InputError(f"percent must be in (0, 100], got {percent:g}")
    if not len(image_ids):
        raise InputError("no images to draw from: 'images' is empty")
    mask = np.zeros(len(image_ids), bool)
    mask[DRAWS[like](image_ids, percent, fold, seed)] = True
    if not mask.any():
        raise InputError(f"{percent:g} % of {len(image_ids)} images is none (rounded down, as {like} does)")
    return mask


def split_labels(
    annotations: Path,
    out_dir: Path,
    percents: Iterable[float],
    folds: Iterable[int],
    seed: int = 0,
    like: str = "own",
) -> list[Fraction]:
    """Write every (percent, fold) pair of one label file into ``out_dir``, in one pass over it.

    Files are written atomically and are the same bytes each time for the same input.

    Args:
        annotations: labels of any kind that is read.
        out_dir: of the files.
        percents, folds: of the draws.
        seed: another gives other draws (to Soft Teacher's script it is ``--seed-offset``).
        like: whose draws, a key of :data:`DRAWS`.

    Raises:
        InputError: labels that cannot be read, or a share that draws no image.
    """
    labels = read_labels(annotations)
    ids = labels.image_ids.tolist()
    folds = list(folds)
    fractions: list[Fraction] = []
    outs: dict[Path, Array | None] = {}
    for percent in percents:
        for fold in folds:
            mask = draw_images(ids, percent, fold, seed, like)
            name = fraction_name(stem_of(annotations), fold, percent, like, seed)
            labeled, unlabeled = out_dir / f"{name}.json", out_dir / f"{name}-unlabeled.json"
            outs |= {labeled: mask, unlabeled: ~mask}
            fractions.append(_described(labels, mask, percent, fold, labeled, unlabeled))
    refuse_sources(annotations, outs)
    write_labels(labels, outs)
    return fractions


def refuse_sources(source: Path, outs: Iterable[Path]) -> None:
    """Refuse to write over the labels that are read.

    Raises:
        InputError: names the file.
    """
    for out in outs:
        if out.resolve() == source.resolve():
            raise InputError(f"{out}: this is the source; give another folder or name")


def stem_of(path: Path) -> str:
    """The name of labels without endings: ``train`` of ``train.json.gz``."""
    return path.name.removesuffix(".gz").removesuffix(path.suffix if path.suffix != ".gz" else ".json")


def _described(
    labels: LabelFile, mask: Array, percent: float, fold: int, labeled: Path, unlabeled: Path
) -> Fraction:
    inside = mask[labels.rows] & ~labels.crowd
    empty = len(labels.classes) - len(np.unique(labels.labels[inside]))
    return Fraction(percent, fold, labeled, unlabeled, int(mask.sum()), int(inside.sum()), empty)


def split_halves(annotations: Path, out_dir: Path, seed: int = 0) -> tuple[Path, Path]:
    """Cut a label file into two disjoint halves of its images: ``.tune.json`` and ``.report.json``.

    With an odd number of images the second half has one more.

    Raises:
        InputError: fewer than two images.
    """
    labels = read_labels(annotations)
    ids = labels.image_ids.tolist()
    if len(ids) < 2:
        raise InputError(f"{annotations}: {len(ids)} images cannot be cut into two halves")
    first = np.isin(labels.image_ids, random.Random(f"halves/{seed}").sample(sorted(ids), len(ids) // 2))
    stem = stem_of(annotations)
    tune, report = out_dir / f"{stem}.tune.json", out_dir / f"{stem}.report.json"
    refuse_sources(annotations, (tune, report))
    write_labels(labels, {tune: first, report: ~first})
    return tune, report
