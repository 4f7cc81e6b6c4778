"""The native core, loaded with ctypes: one function that is called with one struct.

What stands in `core/spikeloss.h` stands here once more as names of Python: a test compares both.
"""

import ctypes
import os
import struct
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

from .build import built

ABI = 3

F32, F64, F16, BF16, U8, I32, I64 = range(7)

OPS = (
    *("sum", "max", "lse", "votes", "last"),
    *("spikes", "first", "soft", "cross", "peak", "trace", "window"),
    *("ce", "soft_ce", "se", "bce", "poisson", "distil", "train"),
)
"""The names of the kernels, in the order of their numbers."""

NUMBER = {name: number for number, name in enumerate(OPS)}

BACKWARD = 64

NOT_FINITE = 1


class NotFiniteError(ValueError):
    """A kernel has seen nan or infinity in a record of spikes."""


_CALL = struct.Struct("@5q Q4q Q4q Q4q Qq 3Q 4Q 4d")

_NONE = (0, 0, 0, 0)

View: TypeAlias = tuple[int, int, int, int, int]
"""Of an array (T, B, N): its address, strides in entries of each axis, and type."""

NOTHING: View = (0, 0, 0, 0, 0)


class Core:
    """A loaded library."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.library = library = ctypes.CDLL(path)
        library.sl_abi.restype = ctypes.c_int64
        if library.sl_abi() != ABI:
            raise OSError(f"interface {library.sl_abi()}, expected {ABI}")
        library.sl_variant.restype = ctypes.c_char_p
        library.sl_choose.argtypes = [ctypes.c_char_p]
        library.sl_choose.restype = ctypes.c_int64
        library.sl_share_of.argtypes = [ctypes.c_int64]
        library.sl_share_of.restype = None
        self._run = library.sl_run
        self._run.argtypes = [ctypes.c_char_p]
        self._run.restype = ctypes.c_int64

    @property
    def variant(self) -> str:
        """What of the library runs on this machine."""
        return str(self.library.sl_variant().decode())

    def choose(self, variant: str) -> bool:
        """Another variant, if the machine has it."""
        return bool(self.library.sl_choose(variant.encode()))

    def share(self, entries: int = 0) -> None:
        """Of how many entries each thread has a share at least; 0: what is worth its waking up."""
        self.library.sl_share_of(entries)

    def run(
        self,
        op: int,
        shape: tuple[int, int, int],
        x: View,
        *,
        threads: int,
        y: View = NOTHING,
        grad: View = NOTHING,
        lengths: tuple[int, int] = (0, 0),
        up: Sequence[int] = (),
        out: Sequence[int] = (),
        options: Sequence[float] = (),
    ) -> int:
        """Run a kernel, or with `op` + BACKWARD its derivative; 0 or NOT_FINITE.

        Addresses are those of arrays that the caller holds: see `core/spikeloss.h`.
        """
        rest = *up, *_NONE[len(up) : 3], *out, *_NONE[len(out) :], *options, *_NONE[len(options) :]
        call = _CALL.pack(op, threads, *shape, *x, *y, *grad, *lengths, *rest)
        status = int(self._run(call))
        if status < 0:
            raise MemoryError if status == -2 else RuntimeError(f"no kernel has the number {op}")
        return status


@cache
def core() -> "Core | str":
    """The library, or why there is none."""
    path = os.environ.get("SPIKELOSS_CORE") or str(built())
    if not os.path.exists(path):
        return "it was not built: see `python -m spikeloss._kernels.build`"
    try:
        return Core(path)
    except OSError as error:
        return f"it does not load: {error}"


def threads() -> int:
    """How many threads a call may take, of libraries that do not say."""
    given = os.environ.get("SPIKELOSS_THREADS") or os.environ.get("OMP_NUM_THREADS")
    if given and given.isdigit() and int(given):
        return int(given)
    allowed: Any = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1
