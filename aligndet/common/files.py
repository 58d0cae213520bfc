"""Atomic writes and content hashes. Needs nothing but the standard library."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

Buffer = bytes | memoryview

#: How the name of a file ends that is being written.
UNFINISHED = ".tmp"


def write_bytes(path: Path, data: Buffer, durable: bool = True) -> None:
    """Write ``data`` to ``path`` so that a reader sees the old file or the whole new one.

    Args:
        durable: also after a power cut; False where a damaged file is found out and made again.
    """
    with replacing(path, durable) as stream:
        stream.write(data)


@contextmanager
def replacing(path: Path, durable: bool = True) -> Iterator[IO[bytes]]:
    """Give a stream whose content becomes ``path`` when the block ends, and nothing where it fails.

    The folder is made where it is missing. See :func:`write_bytes` for ``durable``.
    """
    with replaced_by(path, durable) as temporary, temporary.open("wb") as stream:
        yield stream


@contextmanager
def replaced_by(path: Path, durable: bool = True) -> Iterator[Path]:
    """Give a path in the same folder: the file that is made there becomes ``path``, as :func:`replacing`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        yield temporary
        if durable:
            sync(temporary)
        os.replace(temporary, path)
        if durable:
            sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Bring a file, or a folder's names, to the disk."""
    if os.name == "nt" and path.is_dir():  # Windows opens no folder
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL or not path.is_dir():  # some file systems sync no folder
            raise
    finally:
        os.close(descriptor)


def delete_unfinished(folder: Path, pattern: str = "*") -> None:
    """Delete what a killed process left of files that it was writing; nobody else may write there."""
    for path in folder.glob(f".{pattern}.*{UNFINISHED}"):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str, durable: bool = True) -> None:
    """Write ``text`` as UTF-8, atomically; bytes of file names that are no UTF-8 become ``\\udcff``."""
    write_bytes(path, text.encode(errors="backslashreplace"), durable)


def write_json(path: Path, value: Any, indent: int | None = None, durable: bool = True) -> None:
    """Write ``value`` as JSON, atomically."""
    write_text(path, json.dumps(value, indent=indent), durable)


def content_hash(path: Path) -> str:
    """Hash a file's bytes: SHA-256, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
