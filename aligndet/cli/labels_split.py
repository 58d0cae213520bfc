"""``aligndet labels split``: fractions of a label file."""

from __future__ import annotations

import argparse
from typing import Any

from aligndet.cli import options, paths, values

SUMMARY = "draw label fractions of a COCO file, named as Soft Teacher names them"
EXAMPLES = """
aligndet labels split instances_train2017.json fractions/ --percent 1 5 10 --folds 5
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file, the folder, and the draws."""
    add = parser.add_argument
    add("labels", type=paths.file, metavar="FILE", help="COCO json with boxes")
    add("out", type=paths.out_folder, metavar="OUT", help="folder for NAME.FOLD@PERCENT.json")
    options.add(parser, "--percent", "default 1 10 100")
    add("--folds", type=values.positive, default=5, metavar="N", help="draws of each fraction (default 5)")
    options.add(parser, "--seed", "default 0; another gives other draws")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write every fraction and its rest; print a line for each."""
    from aligndet.labels.split import split_labels

    folds = range(1, args.folds + 1)
    fractions = split_labels(args.labels, args.out, args.percent, folds, args.seed)
    for fraction in fractions:
        print(f"{fraction.labeled}  {fraction.num_images} images, {fraction.num_boxes} boxes")
    return {"fractions": fractions}
