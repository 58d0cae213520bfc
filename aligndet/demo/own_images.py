"""The user's images for the demo: a bounded number of small copies, so that its time is known beforehand."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from aligndet.common.files import write_bytes
from aligndet.common.images import UnreadableImageError, list_images, read_image

LONG_SIDE = 320  # pixels


def chosen(folder: Path, most: int) -> list[str]:
    """At most ``most`` image names below a folder, evenly spread over their order.

    Raises:
        FileNotFoundError, ValueError: no folder, or no image in it.
    """
    names = [entry.file_name for entry in list_images(folder)[0]]
    places = np.unique(np.linspace(0, len(names) - 1, min(most, len(names))).astype(int))
    return [names[place] for place in places]


def fingerprint(folder: Path, most: int) -> str:
    """Hash of the chosen images' names, sizes and times; of the folder's name where it cannot be read."""
    try:
        files = [(name, (folder / name).stat()) for name in chosen(folder, most)]
    except (OSError, ValueError) as error:
        return str(error)
    text = repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in files])
    return hashlib.sha256(text.encode()).hexdigest()


def copy_images(folder: Path, out: Path, most: int, least: int) -> None:
    """Write JPEG copies of at most :data:`LONG_SIDE` pixels below ``out``; unreadable images are left out.

    Copies that are there are kept. Names stay; other kinds than .jpg get that ending added.

    Raises:
        FileNotFoundError, ValueError: no folder, or fewer than ``least`` images in it that can be read.
    """
    names = chosen(folder, most)
    if len(names) < least:
        raise ValueError(f"{folder} holds {len(names)} image(s), expected at least {least}")
    with ThreadPoolExecutor(2) as pool:
        reasons = list(pool.map(lambda name: _copy(folder / name, target(out, name)), names))
    bad = [f"{name}: {reason}" for name, reason in zip(names, reasons, strict=True) if reason]
    out.mkdir(parents=True, exist_ok=True)
    (out.parent / "left_out.txt").write_text("".join(f"{line}\n" for line in bad))
    if len(names) - len(bad) < least:
        raise ValueError(
            f"{len(bad)} of the {len(names)} images in {folder} cannot be read (the first: {bad[0]}); "
            f"expected at least {least} that can"
        )


def target(out: Path, name: str) -> Path:
    """Where the copy of an image lies."""
    return out / (name if name.lower().endswith((".jpg", ".jpeg")) else f"{name}.jpg")


def _copy(source: Path, copy: Path) -> str:
    """Copy one image; the reason if it cannot be read, else nothing."""
    if copy.exists():
        return ""
    try:
        image = read_image(source)
    except UnreadableImageError as error:
        return str(error)
    scale = LONG_SIDE / max(image.shape[:2])
    if scale < 1:
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    write_bytes(copy, cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())
    return ""
