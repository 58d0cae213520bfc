"""``aligndet labels convert``: labels into COCO json."""

from __future__ import annotations

import argparse
from typing import Any

from aligndet.cli import options, paths

SUMMARY = "write labels of any kind as a COCO json that every tool reads alike, and say what they hold"
EXAMPLES = """
aligndet labels convert yolo/data.yaml train.json --split train
aligndet labels convert label_studio.json train.json --images photos/
aligndet labels convert normalised.json train.json --boxes fractions
"""
BOXES = ("fractions", "corners", "corner-fractions", "centres")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The labels, the file to write, the folder of the images, and what a person decides."""
    add = parser.add_argument
    help_text = f"{options.LABELS_HELP}, or an export of Label Studio, LabelMe, CVAT, Datumaro or Roboflow"
    add("source", type=paths.existing, metavar="SOURCE", help=help_text)
    add("out", type=paths.json_out, metavar="OUT.json", help="COCO json to write")
    options.add(parser, "--images", "for sizes and names that the labels do not have")
    options.add(parser, "--allow-outside")
    options.add(parser, "--split")
    text = "what 'bbox' of a COCO json holds, where it is not [x, y, width, height] in pixels"
    add("--boxes", choices=BOXES, default="", help=text)
    add("--leave-out", action="store_true", help="leave out entries that are refused, and say which")


def run(args: argparse.Namespace) -> Any:
    """Convert and print what the new file holds."""
    from aligndet.labels.convert import convert_labels

    words = (args.images, args.split, args.boxes, args.leave_out)
    labels = convert_labels(args.source, args.out, *words)
    print(labels.report)
    print(f"wrote {args.out}")
    return labels.report
