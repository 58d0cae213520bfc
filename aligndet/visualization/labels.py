"""Labels drawn on some of their images."""

from __future__ import annotations

from pathlib import Path

from aligndet.labels.report import LabelCheck
from aligndet.proposals.formats.coco import as_proposals
from aligndet.visualization import proposal_report as report
from aligndet.visualization.drawing import write_image
from aligndet.visualization.proposals import draw_proposals


def show_labels(check: LabelCheck, images: Path, out: Path, count: int = 12) -> None:
    """Draw the boxes of some images, with the report: a page (``.html``) or a picture.

    Args:
        check: of the labels.
        images: folder of their images.
        out: file to write.
        count: images to show.
    """
    picture = draw_proposals(as_proposals(check.labels), images, count, boxes=1000)
    if out.suffix == ".html":
        report.write_page(out, f"Labels: {check.labels.path.name}", [str(check)], [picture])
    else:
        write_image(picture, str(out))
