"""Whether the images on disk are still those that proposals were made on: a look at some of them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aligndet.common.errors import InputError
from aligndet.common.images import UnreadableImageError, content_stamp, image_size
from aligndet.common.images.outside import refuse_outside
from aligndet.proposals.store import ProposalStore

#: Images looked at, evenly spread; of the first so many, the bytes are read and hashed.
SAMPLE, HASHED = 64, 16
THREADS = 8


@dataclass(frozen=True)
class Looked:
    """What was found; each text names an image.

    Attributes:
        count: images looked at.
        missing: those without a file. resized: those of another size than their boxes are for.
        changed: those of the same size and other bytes.
    """

    count: int
    missing: tuple[str, ...] = ()
    resized: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def refuse_most(self, proposals: object, folder: object, keys: tuple[str, str] = ("", "")) -> None:
        """Refuse images of which most are missing, or of another size.

        Args:
            proposals, folder: what was compared, for the error. keys: behind each, how it was given.

        Raises:
            InputError: names the first such image, and both sizes.
        """
        first, second = (f" ({key})" if key else "" for key in keys)
        if 2 * len(self.missing) > self.count:
            raise InputError(
                f"{len(self.missing)} of {self.count} images looked for are not there, e.g. "
                f"{self.missing[0]}. The proposals in {proposals}{first} do not belong to the images in "
                f"{folder}{second}."
            )
        if 2 * len(self.resized) > self.count:
            raise InputError(
                f"{len(self.resized)} of {self.count} images looked at have another size than their "
                f"proposals, e.g. {self.resized[0]}. Bring {proposals}{first} to the size of the images in "
                f"{folder}{second}: aligndet proposals convert {proposals} OUT --images {folder}"
            )

    def warnings(self) -> list[str]:
        """Say what is wrong with some of the images, in a line for each kind."""
        told = []
        for names, what in (
            (self.missing, "are not there; others take their places"),
            (self.resized, "have another size than their proposals; others take their places"),
            (
                self.changed,
                "changed since their proposals were made; make these again if the pictures differ",
            ),
        ):
            if names:
                told.append(f"{len(names)} of {self.count} images looked at {what}, e.g. {names[0]}")
        return told


def look_at_images(store: ProposalStore, rows: np.ndarray, folder: Path) -> Looked:
    """Compare some images of a store, by size and by the hash of their bytes, with the files in a folder.

    Args:
        store: the proposals. rows: (n,) the images of it that are used.
        folder: that its file names are relative to.

    Raises:
        InputError: names lead out of the folder.
    """
    refuse_names_outside(store, folder, rows)
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(int))].tolist()
    with ThreadPoolExecutor(THREADS) as pool:
        kinds = list(
            pool.map(lambda pair: _kind(store, pair[1], folder, pair[0] < HASHED), enumerate(chosen))
        )
    by_kind = {
        name: [text for kind, text in kinds if kind == name] for name in ("missing", "resized", "changed")
    }
    return Looked(len(chosen), *(tuple(texts) for texts in by_kind.values()))


def refuse_names_outside(store: ProposalStore, folder: Path, rows: np.ndarray | None = None) -> None:
    """Refuse images of a store, or these of them, that lie outside of a folder.

    Most stores have no name that is worth a closer look.

    Raises:
        InputError: names the first of them.
    """
    letters, begins = store.columns["names"], store.columns["name_offsets"][:-1]
    dots = letters == ord(".")
    odd = (letters[begins] == ord("/")).any() or (letters == ord("\\")).any() or (dots[1:] & dots[:-1]).any()
    if odd:
        chosen = range(len(store)) if rows is None else rows.tolist()
        refuse_outside((store.file_name(row) for row in chosen), folder, store.path or "proposals")


def _kind(store: ProposalStore, row: int, folder: Path, hashed: bool) -> Sequence[str]:
    """One of the kinds of :class:`Looked` and the text on an image; empty where it is as it was."""
    path, size = folder / store.file_name(row), store.size(row)
    if not path.is_file():
        return "missing", str(path)
    try:
        real = image_size(path)
    except UnreadableImageError:
        return "", ""  # said where it is loaded
    if min(size) > 0 and real != size:
        return "resized", misfit(str(path), real, size)
    stamp = store.stamp(row)
    return ("changed", str(path)) if hashed and stamp and content_stamp(path) != stamp else ("", "")


def misfit(name: str, real: tuple[int, int], size: tuple[int, int]) -> str:
    """Say that an image has another size, both as width and height in pixels, than its proposals are for."""
    return f"{name} is {real[0]}x{real[1]} px, its proposals are for {size[0]}x{size[1]}"
