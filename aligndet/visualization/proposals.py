"""Images with their proposals in a grid."""

from pathlib import Path

import cv2
import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.images import UnreadableImageError, read_image
from aligndet.evaluation.recall import ImageFinder, ranked_rows
from aligndet.proposals.boxes import iou_matrix
from aligndet.proposals.looked_at import refuse_names_outside
from aligndet.proposals.store import ProposalStore
from aligndet.visualization.drawing import Colour, caption, draw_boxes, fit, instance_colour, montage

FOUND, MISSED = (255, 0, 255), (255, 255, 255)  # true boxes: magenta, white (BGR)


def draw_proposals(
    proposals: ProposalStore,
    images: Path,
    count: int = 12,
    boxes: int = 30,
    columns: int = 4,
    long_side: int = 320,
    seed: int = 0,
    truth: ProposalStore | None = None,
) -> np.ndarray:
    """A montage of randomly chosen images and their best proposals, the best drawn last and thick.

    Colours follow the cluster where the boxes were clustered, else the rank: from red (best) over yellow and
    green to blue. With `truth`, true boxes are drawn first: magenta where one of the boxes shown overlaps it
    by IoU 0.5 or more, white where none does. Images that cannot be read are passed over.

    Args:
        proposals: what to show.
        images: the folder its file names are relative to.
        count: images to show; with `truth`, labelled ones only.
        boxes: boxes per image, at most.
        columns: of the montage.
        long_side: of each image in pixels.
        seed: of the choice.
        truth: true boxes, see :func:`aligndet.proposals.formats.read_proposals`.

    Returns:
        (H, W, 3) uint8 BGR; above each image its name and numbers.

    Raises:
        InputError: none of the images can be read, or none is labelled; or names lead out of their folder.
    """
    refuse_names_outside(proposals, images)
    tiles: list[np.ndarray] = []
    labelled = None if truth is None else ImageFinder(truth)
    for image in np.random.default_rng(seed).permutation(len(proposals)).tolist():
        name = proposals.file_name(image)
        row = labelled(name) if labelled else None
        if labelled and row is None:
            continue
        try:
            pixels = read_image(images / name)
        except UnreadableImageError:
            continue
        true = truth.boxes(row) if truth is not None and row is not None else None
        tiles.append(_tile(proposals, image, pixels, boxes, long_side, true))
        if len(tiles) == count:
            break
    if not tiles:
        what = "labelled images" if truth is not None else "images"
        raise InputError(f"none of {len(proposals)} {what} can be read in {images} (--images)")
    return montage(tiles, columns)


def rank_colours(count: int) -> list[Colour]:
    """BGR colours of ranks 0 to count - 1, from red to blue."""
    ramp = np.linspace(225, 25, max(count, 1)).astype(np.uint8)
    colours = cv2.applyColorMap(ramp[:, None], cv2.COLORMAP_TURBO)[:, 0]
    return [(int(blue), int(green), int(red)) for blue, green, red in colours[:count]]


def _tile(
    proposals: ProposalStore,
    image: int,
    pixels: np.ndarray,
    count: int,
    long_side: int,
    true: np.ndarray | None,
) -> np.ndarray:
    rows = ranked_rows(proposals, image)[:count]
    shown, clusters = proposals.boxes(image)[rows], proposals.column("clusters", image)
    colours = rank_colours(len(rows))
    if clusters is not None:
        colours = [instance_colour(int(cluster)) for cluster in clusters[rows]]
    small = fit(pixels, long_side)
    scale = small.shape[1] / pixels.shape[1]
    name, every = Path(proposals.file_name(image)).name, int(proposals.counts[image])
    text = f"{name}: {len(rows)} of {every}"
    if true is not None:
        hits: list[bool] = np.any(iou_matrix(true, shown) >= 0.5, axis=1).tolist()
        small = draw_boxes(small, true * scale, [FOUND if hit else MISSED for hit in hits], thickness=2)
        text += f", {sum(hits)} of {len(true)} found"
    widths = [2 if rank < 5 else 1 for rank in range(len(rows))]
    drawn = draw_boxes(small, shown[::-1] * scale, colours[::-1], thickness=widths[::-1])
    return caption(drawn, text)
