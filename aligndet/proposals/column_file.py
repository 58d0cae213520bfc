"""One column of a store while it is being written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import numpy as np

from aligndet.proposals.layout import COLUMNS

Array = np.ndarray


class ColumnFile:
    """An ``.npy`` file whose length is known only at the end; an optional one begins with its first value."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.spec, self.length = path, COLUMNS[name], 0
        self.begun = False
        self._stream: IO[bytes] | None = None
        if self.spec.fill is None:
            self._begin()

    def _begin(self) -> IO[bytes]:
        if self._stream is None:
            self._stream = self.path.open("w+b", buffering=1 << 18)
            self.begun = True
            self._header()
        return self._stream

    def _header(self) -> None:
        assert self._stream is not None
        shape = (self.length, *self.spec.row)
        header = {"descr": self.spec.dtype, "fortran_order": False, "shape": shape}
        if self.spec.dtype == "u1":
            header["descr"] = "|u1"
        self._stream.seek(0)
        np.lib.format.write_array_header_1_0(self._stream, header)  # numpy pads it for lengths to come

    def write(self, values: Array) -> None:
        stream = self._begin()
        rows = np.ascontiguousarray(values, self.spec.dtype)
        self.length += len(rows)
        stream.write(rows.tobytes())

    def fill(self, count: int) -> None:
        for first in range(0, count, 65536):
            self.write(np.full((min(65536, count - first), *self.spec.row), self.spec.fill))
        self._begin()

    def close(self) -> int | None:
        """Write the true length, once; None where nothing was ever written."""
        if self._stream is None:
            return None
        if not self._stream.closed:
            body = self._stream.tell()
            self._header()
            assert self._stream.tell() + self._bytes() == body, "the header of an npy file changed its length"
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
        return self.length

    def _bytes(self) -> int:
        return self.length * self.spec.row_bytes
