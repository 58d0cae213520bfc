"""What counts as an image by its name, and, where the name does not tell, by its first bytes."""

from __future__ import annotations

import os

#: Endings, in lower case, of files that are listed.
SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".webp", ".tif", ".tiff"),
        *(".ppm", ".pgm", ".pbm", ".pnm"),
    }
)
#: Endings of images that training cannot read everywhere: listed where the content is one that it can.
OTHERS = frozenset(
    {
        *(".heic", ".heif", ".avif", ".gif", ".jp2", ".j2k", ".jxl", ".psd", ".svg", ".ico", ".tga"),
        *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw", ".orf", ".rw2", ".dcm", ".exr", ".hdr"),
    }
)
#: Folders of thumbnails and of deleted files, which NAS boxes and systems make beside the images.
THUMBNAILS = frozenset(
    {"@eadir", "__macosx", "#recycle", "$recycle.bin", "@recycle", "system volume information", "lost+found"}
)
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*")


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the user's: ``._1.jpg``, ``.ipynb_checkpoints``, ``@eaDir``."""
    return name.startswith(".") or name.lower() in THUMBNAILS


def other_kind(path: str) -> str:
    """The ending of an image that is not listed, such as ``.heic``; empty for what is no image.

    A file of such an ending, or of none, that holds a jpeg, png, bmp or tiff gives ``listed``.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix and suffix not in OTHERS:
        return ""
    return "listed" if _holds_image(path) else suffix


def _holds_image(path: str) -> bool:
    try:
        with open(path, "rb") as stream:
            head = stream.read(12)
    except OSError:
        return False
    return head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:] == b"WEBP")
