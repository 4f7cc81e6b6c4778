"""An .npz archive whose declared sizes are known before an array of it is loaded.

`numpy.load` allocates what a header declares, and fails on damaged files with errors of many kinds.
Here a header is read by itself; an array gets its memory when it is loaded, and no more is
unpacked than it declares. NumPy only.
"""

import math
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy

from .errors import InputError
from .metrics import Numbers

CHUNK = 2**20
"""Bytes that are unpacked at a time."""
READERS: dict[tuple[int, int], Any] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}


class Header(NamedTuple):
    """What an array declares of itself."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """The size of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


class Archive:
    """The arrays of an .npz file by name; a damaged file is one line of error."""

    def __init__(self, path: Path) -> None:
        self.path = path
        _check_file(path)
        with self._reading():
            self.zip = ZipFile(path)
        self.members: dict[str, ZipInfo] = {}
        for member in self.zip.infolist():
            name = member.filename.removesuffix(".npy")
            if name in self.members:
                self.zip.close()
                fix = "Write it again with numpy.savez."
                raise InputError(path, "one array of each name", f"{name} twice", fix)
            self.members[name] = member
        self.headers: dict[str, Header] = {}

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.zip.close()

    @property
    def names(self) -> set[str]:
        """The names of the arrays."""
        return set(self.members)

    @property
    def order(self) -> list[str]:
        """The names as the file has them."""
        return list(self.members)

    def check(self, names: set[str]) -> None:
        """Refuse arrays that are not plain."""
        for name in names:
            self._header(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape that an array declares."""
        return self._header(name).shape

    def size(self, name: str) -> int:
        """The size that an array declares."""
        return self._header(name).size

    def load(self, name: str) -> Numbers:
        """An array, in the byte order of this machine."""
        header = self._header(name)
        with self._reading(), self._open(name) as file:
            _read_header(file)
            flat = np.empty(math.prod(header.shape), header.dtype)
            _fill(flat.view(np.uint8) if header.size else flat, header.size, file)
            array = flat.reshape(header.shape, order="F" if header.fortran else "C")
            return array.astype(header.dtype.newbyteorder("="), copy=False)

    def _header(self, name: str) -> Header:
        if name not in self.headers:
            with self._reading(), self._open(name) as file:
                self.headers[name] = _read_header(file)
        return self.headers[name]

    def _open(self, name: str) -> IO[bytes]:
        member = self.members[name]
        if member.flag_bits & 1 or member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise ValueError("encrypted, or packed as numpy.savez does not")
        return self.zip.open(member)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Whatever zipfile and NumPy make of a damaged file is one mistake."""
        try:
            with warnings.catch_warnings(action="ignore"):
                yield
        except OSError as wrong:
            raise _unreadable(self.path, wrong.strerror or str(wrong)) from None
        except Exception:  # they raise a dozen kinds
            fix = "Write it with numpy.savez(FILE, spikes=..., labels=...)."
            rule = "an .npz archive of plain arrays"
            raise InputError(self.path, rule, "something else", fix) from None


def _check_file(path: Path) -> None:
    """Refuse what would block or never end when it is read."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as wrong:
        raise _unreadable(path, getattr(wrong, "strerror", None) or str(wrong)) from None
    if stat.S_ISDIR(mode):
        raise _unreadable(path, "is a directory")
    if not stat.S_ISREG(mode):
        raise _unreadable(path, "no regular file")


def _unreadable(path: Path, why: str) -> InputError:
    return InputError(path, "a file to read", why.lower(), "Check the path.")


def _read_header(file: IO[bytes]) -> Header:
    version: Any = npy.read_magic(file)  # type: ignore[no-untyped-call]
    header = Header(*READERS[version](file))
    if header.dtype.hasobject or min(header.shape, default=0) < 0:
        raise ValueError("no plain array")
    return header


def _fill(array: Numbers, size: int, file: IO[bytes]) -> None:
    """Read exactly the bytes that an array declares, which also checks their sum."""
    at = 0
    while at < size:
        part = file.read(min(CHUNK, size - at))
        if not part:
            raise EOFError("a part is missing")
        array[at : at + len(part)] = np.frombuffer(part, np.uint8)
        at += len(part)
    if file.read(1):
        raise ValueError("more than was declared")
