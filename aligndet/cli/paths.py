"""Types of path options: each checks its path before any work starts, and expands a quoted ``~``."""

from __future__ import annotations

import argparse
import glob
import os
from pathlib import Path

from aligndet.common.errors import InputError

#: How files of pictures begin.
PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
#: Weights that are no file: a name of a model zoo, or an address.
NAMED = ("timm:", "torchvision:", "mmpretrain:", "mmdet:", "http:", "https:", "s3:", "open-mmlab:", "mmcls:")


def path(text: str) -> Path:
    """Any path, with ``~`` expanded."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, got nothing")
    return Path(text).expanduser()


def existing(text: str, kind: str = "file or folder") -> Path:
    """A file or folder that is there and can be read."""
    place = path(text)
    if not place.exists():
        raise argparse.ArgumentTypeError(f"{place}: no such {kind}")
    if not os.access(place, os.R_OK):
        raise argparse.ArgumentTypeError(f"{place}: no permission to read it")
    return place


def images(text: str) -> Path:
    """A folder, list or json of images that can be read, or a pattern such as ``photos/**/*.jpg``."""
    if glob.has_magic(text) and not os.path.lexists(path(text)):
        if next(glob.iglob(os.fspath(path(text)), recursive=True), None) is None:
            raise argparse.ArgumentTypeError(f"{text}: no file of this pattern")
        return path(text)
    return existing(text)


def file(text: str) -> Path:
    """A file that is there, is not empty, and can be read."""
    place = existing(text, "file")
    if place.is_dir():
        raise argparse.ArgumentTypeError(f"{place}: expected a file, this is a folder")
    if place.is_file() and not place.stat().st_size:
        raise argparse.ArgumentTypeError(f"{place}: the file is empty")
    return place


def folder(text: str) -> Path:
    """A folder that is there and can be read."""
    place = existing(text, "folder")
    if not place.is_dir():
        raise argparse.ArgumentTypeError(f"{place}: expected a folder, this is a file")
    return place


def out_file(text: str) -> Path:
    """A file that can be written; folders above it are made when it is."""
    place = path(text)
    if place.is_dir():
        raise argparse.ArgumentTypeError(f"{place}: expected a file to write, this is a folder")
    return _writable(place)


def out_folder(text: str) -> Path:
    """A folder that can be written into, or made."""
    place = path(text)
    if place.exists() and not place.is_dir():
        raise argparse.ArgumentTypeError(f"{place}: expected a folder to write into, this is a file")
    return _writable(place)


def out(text: str) -> Path:
    """A file or folder that can be written."""
    return _writable(path(text))


def picture_out(text: str) -> Path:
    """A picture that can be written: ``.png`` or ``.jpg``."""
    return _ending(out_file(text), ".png", ".jpg", ".jpeg")


def page_out(text: str) -> Path:
    """A picture or page that can be written: ``.png``, ``.jpg`` or ``.html``."""
    return _ending(out_file(text), ".png", ".jpg", ".jpeg", ".html")


def checkpoint_out(text: str) -> Path:
    """A checkpoint that can be written: ``.pth`` or ``.safetensors``."""
    return _ending(out_file(text), ".pth", ".pt", ".safetensors")


def json_out(text: str) -> Path:
    """A json file that can be written."""
    return _ending(out_file(text), ".json")


def config(text: str) -> str:
    """A config: a file, or ``package::folder/name.py``; as written, but for a ``~``."""
    from aligndet.common.configs import locate_config

    try:
        locate_config(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("config ")) from error
    return str(path(text)) if text.startswith("~") else text


def weights(text: str) -> str:
    """Weights: a file or work dir that is no picture and no text, an address, or a name of a model zoo."""
    if text.startswith(NAMED):
        return text
    place = existing(text)
    if place.is_file():
        _refuse_other_kinds(place)
    return str(place)


def weights_file(text: str) -> Path:
    """Weights in a file or work dir of this machine."""
    return Path(weights(str(existing(text))))


def _refuse_other_kinds(place: Path) -> None:
    if not place.stat().st_size:
        raise argparse.ArgumentTypeError(f"{place}: the file is empty")
    kind = _kind(place)
    if kind != "file of data":
        raise argparse.ArgumentTypeError(f"{place}: expected a checkpoint (.pth), got a {kind}")


def _kind(place: Path) -> str:
    """What a file is by its first bytes: picture, text file or file of data."""
    with place.open("rb") as stream:
        head = stream.read(512)
    if head.startswith(PICTURES):
        return "picture"
    try:
        text = head[:-4].decode() if len(head) == 512 else head.decode()
    except UnicodeDecodeError:
        return "file of data"
    return "text file" if text.isprintable() or not set(text) & set(map(chr, range(9))) else "file of data"


def _ending(place: Path, *endings: str) -> Path:
    if place.suffix.lower() not in endings:
        raise argparse.ArgumentTypeError(f"{place}: expected a name that ends in {' or '.join(endings)}")
    return place


def _writable(place: Path) -> Path:
    """The place itself, when it or the nearest folder above that is there can be written."""
    there = place.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if there != place.absolute() and not there.is_dir():
        raise argparse.ArgumentTypeError(f"{place}: cannot be written, {there} is a file")
    if not os.access(there, os.W_OK):
        raise argparse.ArgumentTypeError(f"{place}: no permission to write to {there}")
    return place
