"""Kernels: what stands for the two reductions over time, where a compiler made it and it fits.

A kernel states no formula: that of a stage is its composed form, and this folder can be deleted.
`SPIKELOSS_KERNELS` says what runs: "auto", a kernel where there is one; "off", the composed forms;
"require", an error where there is a kernel but the native core is missing.
"""

import sys
from importlib import import_module
from math import prod
from typing import Any

from spikeloss._backend import checks_values, library
from spikeloss._piece import Dense, finite
from spikeloss._shapes import Array

from .native import Core, NotFiniteError, core
from .outputs import FINITE
from .stages import Kernel, Outputs, of_criterion, of_readout

__all__ = ["Kernel", "available", "of_criterion", "of_readout", "run", "why_not"]

_BINDINGS = {"torch": "_torch", "numpy": "_numpy", "jax": "_jax"}
"""The module that calls the core with arrays of a library."""

_LOADED: dict[str, Any] = {}


def binding_of(name: str) -> Any:
    """What calls the core with arrays of a library; None: nothing does."""
    found = _LOADED.get(name)
    if found is None and name in _BINDINGS:
        found = _LOADED[name] = import_module(f".{_BINDINGS[name]}", __name__)
    return found


def bind() -> None:
    """Bind the libraries that are imported; their compilers cannot look into how it is done."""
    for name in _BINDINGS:
        if sys.modules.get(name) is not None:
            binding_of(name)


def available() -> bool | str:
    """Whether there is a native core that runs here; else why not."""
    found = core()
    return True if isinstance(found, Core) else found


def why_not(
    piece: Dense, kernel: Kernel, y: Array | None = None, z: Array | None = None
) -> str | None:
    """Why the composed form is taken for this piece of a record; None: the kernel is.

    `y`: what it is compared with; `z`: what is read of it, in place of the record.
    """
    if piece.mask is not None:
        return "its mask may have gaps"
    if piece.decides:
        return "its sums decide, and have to be exact"
    x = piece.source if z is None else z
    binding = binding_of(library(x))
    if binding is None:
        return f"no kernel reads arrays of {library(x)}"
    if piece.lengths is None and binding.as_fast(kernel.op, kernel.options, x):
        return f"{library(x)} is as fast"
    refused: str | None = binding.why_not(x, y)
    return refused


def why_not_decided(kernel: Kernel, z: Array) -> str | None:
    """Why the composed form is taken for a decision (*B, C); None: the kernel may be."""
    name = library(z)
    binding = binding_of(name)
    if binding is not None and binding.decides_as_fast(kernel.op, kernel.options, prod(z.shape)):
        return f"{name} is as fast"
    return None


def run(kernel: Kernel, piece: Dense, y: Array | None = None, z: Array | None = None) -> Outputs:
    """What a kernel gives for a piece of a record, or what is read of it, and y."""
    options, x = kernel.options, piece.source if z is None else z
    if kernel.op in FINITE:
        options = (*options, float(checks_values(x)))
    lengths = None if isinstance(piece.held, int) else piece.held
    try:
        return tuple(binding_of(library(x)).run(kernel.op, options, x, y, lengths))
    except NotFiniteError:
        finite(piece)
        raise
