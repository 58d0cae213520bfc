"""How labels fit the images that they are used with: missing files, sizes and boxes of other images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.images import UnreadableImageError, image_size, list_images
from aligndet.common.images.bad import max_bad
from aligndet.common.labels.boxes import OVER_SHARE, over_edge
from aligndet.common.labels.file import LabelFile
from aligndet.common.notices import warn

#: Images whose size is looked at where nobody asks for all: evenly spread over the labels.
SAMPLE = 2000
THREADS = 8
Size = tuple[int, int]


@dataclass(frozen=True)
class OtherSize:
    """An image whose file is of another size than the labels say, widths and heights in pixels."""

    name: str
    labelled: Size
    real: Size

    def __str__(self) -> str:
        return "{} is {}x{} px, {}x{} in the labels".format(self.name, *self.real, *self.labelled)


@dataclass(frozen=True)
class Fit:
    """What was found.

    Attributes:
        labels: the file. folder: of the images.
        images: entries. looked: of them, those whose file was looked at.
        missing: names without a file. near: for the first, a file of the folder that may be meant.
        unlisted: files in the folder that no entry names; None where that was not counted.
        resized: files of another size than the labels say.
        unreadable: names and reasons.
        boxes: on the images that were looked at. outside: of them, those that reach out of their image.
    """

    labels: Path
    folder: Path
    images: int
    looked: int
    missing: tuple[str, ...] = ()
    near: str = ""
    unlisted: int | None = None
    resized: tuple[OtherSize, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    boxes: int = 0
    outside: int = 0

    def faults(self, percent: float = 0.0) -> list[str]:
        """What keeps the two from being used together, each with what mends it.

        Args:
            percent: of the images that may be missing, or of another size.
        """
        found = []
        if 100 * len(self.missing) > percent * self.images:
            near = f" ({self.near} is there)" if self.near else ""
            found.append(
                f"{len(self.missing)} of {self.images} images are not in {self.folder}, such as "
                f"{self.missing[0]}{near}"
            )
        if 100 * len(self.resized) > percent * self.looked:
            found.append(
                f"{len(self.resized)} of {self.looked} images have another size than the labels say, such as "
                f"{self.resized[0]}: the boxes are not of these pixels; give the images that were labelled"
            )
        elif self.outside > OVER_SHARE * self.boxes:
            found.append(
                f"{self.outside} of {self.boxes} boxes reach out of their images in {self.folder}: they are "
                "of images of another size; give the images that were labelled"
            )
        return found

    def line(self) -> str:
        """Say in one line how they fit."""
        parts = [f"{self.images} images", "all there" if not self.missing else f"{len(self.missing)} missing"]
        if self.unlisted:
            parts.append(f"{self.unlisted} files without an entry")
        sizes = "sizes as labelled" if not self.resized else f"{len(self.resized)} of another size"
        parts.append(sizes if self.looked >= self.images else f"{sizes} ({self.looked} looked at)")
        if self.unreadable:
            name, reason = self.unreadable[0]
            parts.append(f"{len(self.unreadable)} cannot be read, such as {name} ({reason})")
        if self.outside:
            parts.append(f"{self.outside} of {self.boxes} boxes over the edge")
        return f"{self.labels} on {self.folder}: {', '.join(parts)}"


def fit_of_labels(
    labels: LabelFile, folder: Path, most: int | None = SAMPLE, count_files: bool = True
) -> Fit:
    """Compare labels with the files of a folder; no image is decoded where its header tells its size.

    Args:
        labels: as :func:`aligndet.common.labels.reader.read_labels` gives them.
        folder: that their names are relative to.
        most: images whose size is looked at; None takes all.
        count_files: count the images in the folder that have no entry.
    """
    there = np.array([os.path.isfile(folder / name) for name in labels.names], bool)
    missing = tuple(labels.names[row] for row in np.flatnonzero(~there).tolist())
    listed = _listed(folder) if count_files or missing else []
    rows = np.flatnonzero(there)
    if most is not None and len(rows) > most:
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, most).astype(int))]
    real, unreadable = _sizes([labels.names[row] for row in rows.tolist()], folder)
    resized = tuple(
        OtherSize(labels.names[row], (width, height), size)
        for row, size in zip(rows.tolist(), real, strict=True)
        if size and (width := int(labels.sizes[row, 0])) > 0 and (height := int(labels.sizes[row, 1])) > 0
        if size != (width, height)
    )
    boxes, outside = _outside(labels, rows, real)
    return Fit(
        labels.path,
        folder,
        len(labels.names),
        len(rows),
        missing,
        _near(missing[0], listed) if missing else "",
        len(set(listed) - set(labels.names)) if count_files else None,
        resized,
        unreadable,
        boxes,
        outside,
    )


def check_fit(labels: LabelFile, folder: Path, option: str = "", folder_option: str = "--images") -> Fit:
    """As :func:`fit_of_labels`, and refuse labels that do not fit.

    A few images may be missing or of another size, as in a run (:mod:`aligndet.common.images.bad`), which is
    told; but before a run nothing is lost, so that the share is not rounded up.

    Args:
        labels, folder: what is compared.
        option: how the labels were given, such as ``--val``. folder_option: how the folder was.

    Raises:
        InputError: names labels, image, and the option that mends it.
    """
    fit = fit_of_labels(labels, folder)
    faults = fit.faults(max_bad())
    for few in () if faults else fit.faults():
        warn(f"{labels.path}: {few}; training replaces them, a test takes them as black")
    if faults:
        more = f"; and {len(faults) - 1} more faults" if len(faults) > 1 else ""
        raise InputError(
            f"{f'{option} ' if option else ''}{labels.path}: {faults[0]}{more}; give their folder with "
            f"{folder_option}, or see all: aligndet labels check {labels.path} --images {folder}"
        )
    return fit


def _listed(folder: Path) -> list[str]:
    try:
        table, _ = list_images(folder)
    except InputError:
        return []
    return [entry.file_name for entry in table]


def _near(name: str, listed: Sequence[str]) -> str:
    """A file of the same name in another folder, of another ending or case; empty for none."""
    wanted = PurePosixPath(name.replace("\\", "/"))
    places = [PurePosixPath(other) for other in listed]
    for same in (
        lambda place: place.name == wanted.name,
        lambda place: place.name.lower() == wanted.name.lower(),
        lambda place: place.stem.lower() == wanted.stem.lower(),
    ):
        if found := next((place for place in places if same(place)), None):
            return str(found)
    return ""


def _sizes(names: Sequence[str], folder: Path) -> tuple[list[Size | None], tuple[tuple[str, str], ...]]:
    """Size of each file, None where it cannot be read; and the names and reasons of these."""

    def one(name: str) -> Size | str:
        try:
            return image_size(folder / name)
        except UnreadableImageError as error:
            return str(error)

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(one, names))
    unreadable = tuple((name, size) for name, size in zip(names, found, strict=True) if isinstance(size, str))
    return [None if isinstance(size, str) else size for size in found], unreadable


def _outside(labels: LabelFile, rows: np.ndarray, real: Sequence[Size | None]) -> tuple[int, int]:
    """Boxes on these images, and how many reach out of their files."""
    sizes = np.full((len(labels.names), 2), np.nan)
    for row, size in zip(rows.tolist(), real, strict=True):
        if size:
            sizes[row] = size
    limits = sizes[labels.rows]
    looked = np.isfinite(limits[:, 0])
    return int(looked.sum()), int((over_edge(labels.xyxy, limits) & looked).sum())
