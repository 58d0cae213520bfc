"""Show proposals: images with their boxes by rank, box statistics and, with true boxes, the recall curve.

    python tools/show_proposals.py PROPOSALS OUT.png --images IMAGES [--truth instances.json]

OUT.html writes a page that holds everything, also as text.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import aligndet  # noqa: F401
from aligndet.command import answer
from aligndet.evaluation.recall import coverage
from aligndet.proposals.formats import KINDS, read_proposals
from aligndet.visualization import proposal_report as report
from aligndet.visualization.drawing import write_image
from aligndet.visualization.proposals import draw_proposals


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("proposals", type=Path, help=KINDS)
    add("out", type=Path, help="picture (.png or .jpg) or page (.html) to write")
    add("--images", type=Path, required=True, help="folder its file names are relative to")
    add("--truth", type=Path, help="labelled COCO json: draws the recall curve and the true boxes")
    add("--count", type=int, default=12, help="images to show")
    add("--boxes", type=int, default=30, help="boxes per image, at most")
    add("--columns", type=int, default=4, help="of the grid")
    add("--long-side", type=int, default=320, help="pixels of each image")
    add("--seed", type=int, default=0, help="of the choice of images")
    return parser.parse_args(argv)


def show(args: argparse.Namespace) -> None:
    proposals = read_proposals(args.proposals)
    truth = read_proposals(args.truth) if args.truth else None
    layout = (args.count, args.boxes, args.columns, args.long_side, args.seed)
    pictures = [draw_proposals(proposals, args.images, *layout, truth)]
    texts = [report.statistics(proposals)]
    if truth is not None:
        texts.append(coverage(proposals, truth).table())
    curve = None if truth is None else report.curve_coverage(proposals, truth)
    pictures.append(report.draw_statistics(proposals, curve))
    print("\n\n".join(texts))
    if args.out.suffix == ".html":
        report.write_page(args.out, f"Proposals: {args.proposals.name}", texts, pictures)
    else:
        write_image(report.stack(pictures), str(args.out))


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)

    def work() -> str:
        show(args)
        return f"wrote {args.out}"

    return answer(work)


if __name__ == "__main__":
    sys.exit(main())
