"""``aligndet labels split``: fractions of labels."""

from __future__ import annotations

import argparse
from typing import Any

from aligndet.cli import options, paths, values

SUMMARY = "draw fractions of labels: uniformly by image, or the very images of Soft Teacher's splits"
EXAMPLES = """
aligndet labels split instances_train2017.json fractions/ --percent 1 5 10 20 --folds 5
aligndet labels split instances_train2017.json fractions/ --percent 1 5 10 20 --like soft-teacher
"""
LIKE = ("own", "soft-teacher", "mmdet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The labels, the folder, and the draws."""
    add = parser.add_argument
    add("labels", type=paths.existing, metavar="LABELS", help=options.LABELS_HELP)
    text = "folder for NAME.drawFOLD@PERCENT.json (NAME.FOLD@PERCENT.json with --like)"
    add("out", type=paths.out_folder, metavar="OUT", help=text)
    options.add(parser, "--percent", "default 1 10 100")
    add("--folds", type=values.positive, default=5, metavar="N", help="draws of each fraction (default 5)")
    text = "whose draws: 'soft-teacher' those of its script, 'mmdet' of split_coco.py (default own)"
    add("--like", choices=LIKE, default="own", help=text)
    options.add(parser, "--seed", "default 0; another gives other draws, and stands in the names")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write every fraction and its rest; print a line for each."""
    from aligndet.labels.split import split_labels

    folds = range(1, args.folds + 1)
    fractions = split_labels(args.labels, args.out, args.percent, folds, args.seed, args.like)
    for fraction in fractions:
        empty = f", {fraction.empty_classes} classes without a box" if fraction.empty_classes else ""
        print(f"{fraction.labeled}  {fraction.num_images} images, {fraction.num_boxes} boxes{empty}")
    return {"fractions": fractions}
