"""Gives the core an output that is too short; a sanitizer has to stop this program."""

import ctypes

import numpy as np

from spikeloss._kernels.native import F32, NUMBER, Core, core

it = core()
assert isinstance(it, Core)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
x = np.ones((7, 5, 6), np.float32)
short = libc.malloc(4 * (5 * 6 - 1))  # one number is missing
it.run(
    NUMBER["sum"], x.shape, (x.ctypes.data, 30, 6, 1, F32), threads=1, out=[short], options=(0.0,)
)
print("nothing was found")
