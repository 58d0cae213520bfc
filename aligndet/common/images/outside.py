"""Names in label files are of images inside the folder of images: what lies elsewhere is not read unasked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from aligndet.common.errors import InputError
from aligndet.common.inherited import inherited

#: Holds what ``--allow-outside`` says, for the processes of a command.
VARIABLE = "ALIGNDET_ALLOW_OUTSIDE"
MEND = "give the folder that holds all images, or --allow-outside"


def allowing_outside(allow: bool = True) -> AbstractContextManager[None]:
    """Let names be of files outside of the folder of images; False leaves the rule as it is."""
    return inherited(VARIABLE, "1" if allow else None)


def outside_allowed() -> bool:
    """Whether :func:`allowing_outside` holds."""
    return os.environ.get(VARIABLE) == "1"


def is_outside(name: str, folder: Path | str) -> bool:
    """Whether a name, relative to a folder or absolute, is of a file outside of it.

    Links that lie in the folder are of its owner's making and may lead out of it; a name with ``..`` is
    followed through them.
    """
    name = name.replace("\\", "/")
    up = ".." in name.split("/")
    if not up and not os.path.isabs(name):
        return False
    path = os.path.join(os.path.abspath(folder), name)
    if not up and _below(os.path.normpath(path), os.path.abspath(folder)):
        return False
    return not _below(os.path.realpath(os.path.dirname(path)), os.path.realpath(folder))


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def outside(names: Iterable[str], folder: Path | str) -> Iterator[tuple[int, str]]:
    """Give place and name of those outside of a folder; none where that is allowed."""
    if not outside_allowed():
        yield from ((place, name) for place, name in enumerate(names) if is_outside(name, folder))


def refuse_outside(names: Iterable[str], folder: Path | str, source: object) -> None:
    """Refuse names outside of a folder, unless that is allowed.

    Raises:
        InputError: names ``source``, where they stand, and the first of them.
    """
    found = list(outside(names, folder))
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise InputError(
            f"{source}: image {found[0][1]} (entry {found[0][0]}){more} lies outside of {folder}, and is not "
            f"read; {MEND}"
        )
