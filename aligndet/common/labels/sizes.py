"""Sizes of images that a label file does not tell."""

from __future__ import annotations

from pathlib import Path

from aligndet.common.images.outside import outside
from aligndet.common.images.reading import UnreadableImageError, image_size
from aligndet.common.labels.tables import Tables


def only_folder(images: Path | str | None) -> Path | None:
    """The folder of images; None where none is given, or a list of them."""
    folder = Path(images) if images else None
    return folder if folder and folder.is_dir() else None


def find_sizes(tables: Tables, images: Path | None) -> None:
    """Read the sizes that are missing from the images, as training sees them."""
    if images is None:
        return
    for number, name in enumerate(tables.names):
        if min(tables.sizes[2 * number : 2 * number + 2]) > 0 or any(outside([name], images)):
            continue
        file = images / name
        if not file.is_file():
            file = images / name.replace("\\", "/")
        try:
            size = image_size(file)
        except (UnreadableImageError, ValueError):
            continue
        tables.sizes[2 * number], tables.sizes[2 * number + 1] = size
        at = f"images[{tables.image_places[number]}] (id {tables.image_keys[number]})"
        tables.notes.mended("'width' and 'height' that are missing, read from the images", at)
