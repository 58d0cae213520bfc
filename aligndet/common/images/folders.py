"""Walking a folder of images: every file once, whatever links and hidden copies lie in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aligndet.common.image_table import ImageTable
from aligndet.common.images.kinds import SUFFIXES, is_hidden, other_kind

Place = tuple[int, int]  # device and inode of a folder


def add_folder(source: Path, prefix: str, table: ImageTable) -> None:
    """Add all images below a folder, in the order of their names.

    A link to a folder is followed once; one to a folder inside of ``source`` is not, because its images are
    listed where they lie. Hidden files and thumbnails are passed over.

    Args:
        source: the folder.
        prefix: put before every name: empty, or ending in "/".
        table: to add to.

    Raises:
        OSError: ``source`` itself cannot be read.
    """
    walk = _Walk(os.path.realpath(source), set(), table)
    walk.add(prefix, os.fspath(source), first=True)


def holds_image(source: Path) -> bool:
    """Whether an image lies below a folder."""
    return next(_any_image(os.path.realpath(source)), None) is not None


def _any_image(source: str) -> Iterator[str]:
    for path, folders, files in os.walk(source, followlinks=False):
        folders[:] = [name for name in folders if not is_hidden(name)]
        yield from (file for name in files if is_image(file := os.path.join(path, name)))


def is_image(path: str | os.PathLike[str]) -> bool:
    """Whether a file would be listed."""
    path = os.fspath(path)
    if is_hidden(os.path.basename(path)):
        return False
    return os.path.splitext(path)[1].lower() in SUFFIXES or other_kind(path) == "listed"


@dataclass
class _Walk:
    """One walk: the folder it began in, the folders it has seen, and the table that it fills."""

    root: str
    seen: set[Place]
    table: ImageTable

    def add(self, name: str, path: str, first: bool = False) -> None:
        """Add the images below folder ``name`` (empty, or ending in "/")."""
        for key, entry in self._entries(name, path, first):
            if key.endswith("/"):
                self.add(f"{name}{key}", entry.path)
            else:
                self.table.add(f"{name}{key}", len(self.table) + 1)

    def _entries(self, name: str, path: str, first: bool) -> list[tuple[str, os.DirEntry[str]]]:
        """Images and sub-folders (their key ends in "/") of one folder, sorted; none if unreadable."""
        try:
            stat = os.stat(path)
            if (stat.st_dev, stat.st_ino) in self.seen:
                return []
            self.seen.add((stat.st_dev, stat.st_ino))
            with os.scandir(path) as entries:
                images = [(key, entry) for entry in entries if (key := self._key(entry))]
        except OSError as error:
            if first:
                raise
            self.table.skip(name, f"folder cannot be read: {error.strerror or error}")
            return []
        images.sort(key=lambda pair: pair[0])  # "a.jpg" < "a/": the order of whole names
        return images

    def _key(self, entry: os.DirEntry[str]) -> str:
        """An image's name, a folder's with "/", nothing for what is neither."""
        if is_hidden(entry.name):
            return ""
        try:
            if entry.is_dir():
                return "" if entry.is_symlink() and self._inside(entry.path) else f"{entry.name}/"
            # a link to nowhere is listed, so that the report can say so; a pipe is not, it would block
            if not entry.is_file() and not entry.is_symlink():
                return ""
        except OSError:
            return f"{entry.name}/"
        if os.path.splitext(entry.name)[1].lower() in SUFFIXES:
            return entry.name
        kind = other_kind(entry.path)
        if kind not in ("", "listed"):
            self.table.others[kind] += 1
        return entry.name if kind == "listed" else ""

    def _inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        return real == self.root or real.startswith(self.root.rstrip("/") + "/")
