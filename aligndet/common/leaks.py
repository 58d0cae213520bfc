"""Images that are in two sets at once: the same file, the same bytes under another name, or a near copy."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aligndet.common.images import content_stamp

#: Near copies are looked for in at most so many images together: each must be opened.
MOST_OPENED = 5000
#: Bits of 64 in which the perceptual hashes of near copies differ at most.
NEAR_BITS = 4
#: Grey levels of standard deviation below which an image is too plain to tell.
PLAIN = 4.0
THREADS = 8
Pair = tuple[str, str]


@dataclass(frozen=True)
class ImageSet:
    """Images of one purpose.

    Attributes:
        title: what they are for, as people read it: ``--val labels.json``.
        folder: that the names are relative to.
        names: relative to the folder.
    """

    title: str
    folder: Path
    names: Sequence[str]


@dataclass(frozen=True)
class Leak:
    """Images that two sets share.

    Attributes:
        first, second: titles of the sets.
        same: names of the same files. copies: names in both sets of files with the same bytes.
        near: of files that look the same; a hint. searched: False where there are too many to look for these.
        size: images of the first set.
    """

    first: str
    second: str
    size: int
    same: tuple[Pair, ...] = ()
    copies: tuple[Pair, ...] = ()
    near: tuple[Pair, ...] = ()
    searched: bool = True

    @property
    def certain(self) -> int:
        """Images that are in both sets beyond doubt."""
        return len({name for name, _ in (*self.same, *self.copies)})

    def text(self) -> str:
        """Say what is shared beyond doubt; empty where nothing is."""
        if not self.certain:
            return ""
        name, other = (*self.same, *self.copies)[0]
        where = name if name == other else f"{name}, there as {other}"
        kinds = [
            f"{len(pairs)} {kind}"
            for pairs, kind in ((self.same, "the same file"), (self.copies, "the same bytes"))
            if pairs
        ]
        return (
            f"{self.certain} of the {self.size} images of {self.first} are also in {self.second} "
            f"({', '.join(kinds)}), such as {where}"
        )

    def hint(self) -> str:
        """Say what looks the same, or that nobody looked; empty where nothing does."""
        if not self.searched:
            return (
                f"near copies of images of {self.first} in {self.second} were not looked for: they are more "
                f"than {MOST_OPENED} together"
            )
        if not self.near:
            return ""
        name, other = self.near[0]
        return (
            f"{len(self.near)} of the {self.size} images of {self.first} look like images of {self.second}, "
            f"such as {name} and {other}: near copies?"
        )


def find_leak(first: ImageSet, second: ImageSet, near: bool = True) -> Leak:
    """Look for the images of one set in another.

    The bytes are read of files of equal length alone. Near copies are found by the perceptual hash of the
    library ``imagehash``, in sets of up to :data:`MOST_OPENED` images.

    Args:
        first, second: the sets; a name without a file is passed over.
        near: look for near copies, too.
    """
    ours, theirs = _files(first), _files(second)
    same = {name: theirs.names[file] for name, file in ours.files.items() if file in theirs.names}
    rest = [name for name in ours.files if name not in same]
    copies = _copies(rest, ours, theirs)
    rest = [name for name in rest if name not in copies]
    few = len(rest) + len(theirs.files) <= MOST_OPENED
    looks = _near(rest, first.folder, list(theirs.files), second.folder) if near and few else {}
    return Leak(
        first.title,
        second.title,
        len(first.names),
        tuple(same.items()),
        tuple(copies.items()),
        tuple(looks.items()),
        few or not near,
    )


@dataclass(frozen=True)
class _Files:
    """The files of a set: device and inode by name, and back, and names by length in bytes."""

    folder: Path
    files: dict[str, tuple[int, int]]
    names: dict[tuple[int, int], str]
    sizes: dict[int, list[str]]


def _files(images: ImageSet) -> _Files:
    files = _Files(images.folder, {}, {}, {})
    for name in images.names:
        try:
            status = os.stat(os.path.join(images.folder, name))
        except (OSError, ValueError):
            continue
        files.files[name] = status.st_dev, status.st_ino
        files.names.setdefault(files.files[name], name)
        files.sizes.setdefault(status.st_size, []).append(name)
    return files


def _copies(names: Iterable[str], ours: _Files, theirs: _Files) -> dict[str, str]:
    """Names of files with the same bytes as one of theirs, and which."""
    wanted = set(names)
    found = {}
    for size in ours.sizes.keys() & theirs.sizes.keys():
        mine = [name for name in ours.sizes[size] if name in wanted]
        if not mine or not size:
            continue
        stamps: dict[int, str] = {}
        for name in theirs.sizes[size]:
            stamps.setdefault(content_stamp(theirs.folder / name), name)
        for name in mine:
            if other := stamps.get(content_stamp(ours.folder / name)):
                found[name] = other
    return {name: found[name] for name in names if name in found}


def _near(names: Sequence[str], folder: Path, others: Sequence[str], other_folder: Path) -> dict[str, str]:
    """Names of files that look like one of the others, and which."""
    if not names or not others:
        return {}
    ours, theirs = _hashes(names, folder), _hashes(others, other_folder)
    seen = np.flatnonzero(theirs[1])
    found = {}
    for row in np.flatnonzero(ours[1]).tolist():
        apart = np.unpackbits((theirs[0][seen] ^ ours[0][row]).view(np.uint8).reshape(-1, 8), axis=1).sum(1)
        if len(apart) and apart.min() <= NEAR_BITS:
            found[names[row]] = others[seen[int(apart.argmin())]]
    return found


def _hashes(names: Sequence[str], folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(n,) uint64 perceptual hashes, and a mask (n,) of the images that have one."""
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda name: _hash(folder / name), names))
    return np.array([value or 0 for value in found], np.uint64), np.array(
        [value is not None for value in found]
    )


def _hash(path: Path) -> int | None:
    import imagehash
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.draft("L", (64, 64))
            small: Any = image.convert("L").resize((64, 64))
    except Exception:  # what cannot be opened here is said where it is used
        return None
    if np.asarray(small).std() < PLAIN:
        return None
    return int(str(imagehash.phash(small)), 16)
