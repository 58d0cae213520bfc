"""``aligndet proposals show``: pictures and numbers of proposals."""

from __future__ import annotations

import argparse
from typing import Any

from aligndet.cli import options, paths

SUMMARY = "draw proposals on their images, with statistics and, given labels, the recall curve"
EXAMPLES = """
aligndet proposals show runs/photos/proposals boxes.png --images photos/
aligndet proposals show runs/photos/proposals page.html --images photos/ --val val.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Proposals, the picture, and what is drawn."""
    add = parser.add_argument
    add("proposals", type=paths.existing, metavar="PROPOSALS", help=options.PROPOSALS_HELP)
    add("out", type=paths.page_out, metavar="OUT", help="picture (.png, .jpg) or page (.html) to write")
    options.add(parser, "--images", "of its file names", required=True)
    options.add(parser, "--allow-outside")
    options.add(parser, "--val", "draws the recall curve and the true boxes")
    options.add(parser, "--count", "default 12", default=12)
    options.add(parser, "--max-per-image", "default 30", default=30)
    options.add(parser, "--columns", "default 4", default=4)
    options.add(parser, "--long-side", "of each image; default 320", default=320)
    options.add(parser, "--seed")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Draw, print the statistics, write the picture or page."""
    from aligndet.common.fit_of_labels import check_fit
    from aligndet.common.labels.reader import read_labels
    from aligndet.evaluation.recall import coverage
    from aligndet.proposals.formats import read_proposals
    from aligndet.proposals.formats.coco import as_proposals
    from aligndet.visualization import proposal_report as report
    from aligndet.visualization.drawing import write_image
    from aligndet.visualization.proposals import draw_proposals

    proposals = read_proposals(args.proposals)
    truth = read_labels(args.val, args.images) if args.val else None
    if truth:
        print(check_fit(truth, args.images, "--val").line())
    layout = (args.count, args.max_per_image, args.columns, args.long_side, args.seed)
    true_boxes = as_proposals(truth) if truth else None
    pictures = [draw_proposals(proposals, args.images, *layout, true_boxes)]
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
    print(f"wrote {args.out}")
    return {"out": args.out, "images": len(proposals), "boxes": proposals.num_boxes}
