"""Arrays by name, in a file or given: their sizes are known before one of them is loaded.

Nothing is unpickled or executed, and no other file is opened. `.npz` files are read by
`spikeloss.lab.archive`, `.npy` files by NumPy, HDF5 files by h5py, whose C library may end the
process over a damaged file: take those from people whom you trust.
"""

import math
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spikeloss._door._words import cut
from spikeloss._install import hint
from spikeloss.lab.archive import Archive
from spikeloss.lab.errors import InputError

from .samples import Numbers

HDF5 = (".h5", ".hdf5")
SUFFIXES = (".npz", ".npy", *HDF5)
NESTED = ("spikes/times", "spikes/units")
"""The data sets of the SHD layout that stand in a group."""


class Arrays(Protocol):
    """Named arrays that load one by one."""

    @property
    def names(self) -> set[str]:
        """The names."""

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape that an array declares."""

    def size(self, name: str) -> int:
        """The bytes that loading it takes."""

    def load(self, name: str) -> Numbers:
        """The array."""


@contextmanager
def opened(path: Path) -> Iterator[Arrays]:
    """The arrays of a file."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        rule = "a file " + ", ".join(SUFFIXES[:-1]) + f" or {SUFFIXES[-1]}"
        raise InputError(path, rule, suffix or "none of these", "Save it as one of them.")
    if suffix == ".npz":
        with Archive(path) as archive:
            yield archive
    elif suffix == ".npy":
        yield Plain(path)
    else:
        with Tree(path) as tree:
            yield tree


class Given:
    """Arrays that are there already; whatever NumPy makes an array of."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self.arrays: dict[str, Numbers] = {}
        for name, value in arrays.items():
            if value is None:
                continue
            try:
                array = np.asarray(value)
            except (TypeError, ValueError, RuntimeError) as wrong:
                fix = "Return NumPy arrays."
                raise InputError(name, "an array", cut(str(wrong)), fix) from None
            self.arrays[name] = array

    @property
    def names(self) -> set[str]:
        """The names."""
        return set(self.arrays)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape."""
        return self.arrays[name].shape

    def size(self, name: str) -> int:
        """The bytes that it takes."""
        return self.arrays[name].nbytes

    def load(self, name: str) -> Numbers:
        """The array itself."""
        return self.arrays[name]


class Plain(Given):
    """NAME.npy as `inputs`, with NAME-labels.npy, and NAME-lengths.npy where there is one.

    The files are mapped into memory at first, so that those that are shorter than they say are
    refused.
    """

    def __init__(self, path: Path) -> None:
        files = {"inputs": path} | {
            name: path.with_name(f"{path.stem}-{name}.npy") for name in ("labels", "lengths")
        }
        if not files["labels"].exists():
            rule = f"its labels beside it, in {files['labels'].name}"
            fix = "Save them there with numpy.save, or use numpy.savez for both."
            check_file(path)
            raise InputError(path, rule, "no such file", fix)
        if not files["lengths"].exists():
            del files["lengths"]
        super().__init__({name: _mapped(file) for name, file in files.items()})

    def load(self, name: str) -> Numbers:
        """The array, read: its file may change afterwards."""
        return np.array(self.arrays[name], order="K")


def _mapped(path: Path) -> Numbers:
    check_file(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as wrong:
        raise unreadable(path, wrong.strerror or str(wrong)) from None
    except Exception:  # a damaged header raises a dozen kinds
        array = None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        got = "something else" if not isinstance(array, np.ndarray) else cut(str(array.dtype))
        fix = "Write it with numpy.save, or save events with numpy.savez."
        raise InputError(path, "a .npy file of plain numbers", got, fix)
    return array


class Tree:
    """The data sets of an HDF5 file that lie at its top, and those of the SHD layout."""

    def __init__(self, path: Path) -> None:
        self.path = path
        check_file(path)
        try:
            self.h5py: Any = import_module("h5py")
        except ImportError:
            fix = hint("data")
            raise InputError(path, "h5py, which reads HDF5 files", "no h5py", fix) from None
        with self._reading():
            self.file: Any = self.h5py.File(path, "r")
        try:
            with self._reading():
                top = {name for name in self.file if isinstance(name, str)}
                nested = {name for name in NESTED if self._is_nested(name)}
        except InputError:
            self.file.close()
            raise
        self._names = (top - {"spikes"} if nested else top) | nested

    def __enter__(self) -> "Tree":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    @property
    def names(self) -> set[str]:
        """The names."""
        return self._names

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape that a data set declares."""
        return tuple(self.node(name).shape)

    def size(self, name: str) -> int:
        """The bytes of a data set, or of one chunk of it where that is larger."""
        node = self.node(name)
        numbers = max(math.prod(shape) for shape in (node.shape, node.chunks or (0,)))
        return int(numbers) * int(node.dtype.itemsize)

    def load(self, name: str) -> Numbers:
        """A data set of plain numbers."""
        node = self.node(name)
        with self._reading():
            array: Numbers = node[()]
        return array.astype(array.dtype.newbyteorder("="), copy=False)

    def row(self, name: str, index: int) -> Numbers:
        """An entry of a data set of lists of numbers."""
        with self._reading():
            array: Numbers = self.node(name, lists=True)[index]
        return array

    def node(self, name: str, lists: bool = False) -> Any:
        """A data set of this very file, of plain numbers or of lists of these."""
        with self._reading():
            self._check_links(name)
            node = self.file[name]
            self._check_numbers(name, node, lists)
        return node

    def _check_numbers(self, name: str, node: Any, lists: bool) -> None:
        """Refuse what is no data set of numbers, in this file."""
        what = f"{self.path}, {name}"
        if not isinstance(node, self.h5py.Dataset) or node.shape is None:
            raise InputError(what, "a data set", "something else", "Save an array under that name.")
        if node.external or node.is_virtual:
            fix = "Copy its numbers into this file."
            raise InputError(what, "numbers in this file", "some in another file", fix)
        held = self.h5py.check_vlen_dtype(node.dtype) if lists else None
        dtype = node.dtype if held is None else np.dtype(held)
        if dtype.kind not in "biuf" or self.h5py.check_string_dtype(node.dtype) is not None:
            got = "objects or text" if dtype.kind in "OSU" else cut(str(dtype))
            raise InputError(what, "plain numbers", got, "Save numbers.")

    def _is_nested(self, name: str) -> bool:
        """Whether a name of a group is there; looks at links only, and follows none."""
        group, leaf = name.split("/")
        hard = self.h5py.HardLink
        if not isinstance(self.file.get(group, getlink=True), hard):
            return False
        inside = self.file[group]
        return isinstance(inside, self.h5py.Group) and leaf in inside

    def _check_links(self, name: str) -> None:
        """Refuse links, which may lead into other files."""
        node = self.file
        for part in name.split("/"):
            if not isinstance(node.get(part, getlink=True), self.h5py.HardLink):
                what, fix = f"{self.path}, {name}", "Copy what it names into this file."
                raise InputError(what, "a data set in this file", "a link", fix)
            node = node[part]

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Whatever h5py makes of a damaged file is one mistake."""
        try:
            yield
        except InputError:
            raise
        except Exception:  # it raises a dozen kinds
            fix = "Write it with h5py."
            raise InputError(self.path, "an HDF5 file", "something else", fix) from None


def check_file(path: Path) -> None:
    """Refuse what would block or never end when it is read."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as wrong:
        raise unreadable(path, getattr(wrong, "strerror", None) or str(wrong)) from None
    if not stat.S_ISREG(mode):
        raise unreadable(path, "is a directory" if stat.S_ISDIR(mode) else "no regular file")


def unreadable(path: Path, why: str) -> InputError:
    """The refusal of a file that cannot be read."""
    return InputError(path, "a file to read", why.lower(), "Check the path.")
