"""All that is particular to an array library. No other module names torch, jax or numpy.

The mathematics of spikeloss is written in the vocabulary of the Python array API standard, which
`namespace(x)` gives for the library of `x` (through array-api-compat); the functions below are the
few operations that the standard lacks. What they do stands in `_base.py` for every library of the
standard, and in one file per library where that has a way of its own. A further library is one more
file and one more table row.
"""

import math
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from spikeloss._shapes import Array

from ._base import Lack as Lack
from ._base import Library
from ._jax import Jax
from ._numpy import NumPy
from ._strict import Strict
from ._torch import Torch

_LIBRARIES: dict[str, type[Library]] = {
    "numpy": NumPy,
    "torch": Torch,
    "jax": Jax,
    "jaxlib": Jax,
    "array_api_strict": Strict,
}
"""By the package that the type of an array comes from."""


class _Known(dict[type, Library]):
    """The library of every type of arrays that was seen: what is known costs no call."""

    def __missing__(self, kind: type) -> Library:
        package = _learned(kind)
        if package is None:
            raise TypeError(f"not an array: {kind.__name__}")
        return _LIBRARIES[package].one


def _learned(kind: type) -> str | None:
    """The package of a type of arrays, whose library is known from here on; None: of no arrays."""
    packages = [base.__module__.partition(".")[0] for base in kind.__mro__]
    package = next((name for name in packages if name in _LIBRARIES), None)
    if package is None and hasattr(kind, "__jax_array__"):
        package = "jax"
    if package is None or not hasattr(kind, "__array__"):  # a dtype, a sparse matrix
        return None
    library = _LIBRARIES[package]
    if "one" not in vars(library):
        library.one = library()
    _OF[kind] = library.one
    return package


# torch.compile runs it, and does not read it: what it read it would change after the call, and the
# next call would compile again. `torch.compiler.assume_constant_result` sets this, and needs torch.
vars(_learned)["_dynamo_marked_constant"] = True

_OF = _Known()


def is_array(x: Any) -> bool:
    """Whether `x` is an array of a supported library."""
    if isinstance(x, (tuple, list)):  # torch.compile cannot look into the types of Python's own
        return False
    try:
        _OF[type(x)]
    except TypeError:
        return False
    return True


def adapter(x: Array) -> Library:
    """What spikeloss knows of the library of `x`; one value for each library."""
    return _OF[type(x)]


def unwrap(x: Array) -> Array:
    """The library's own array inside a container such as brainpy's `Array`."""
    return _OF[type(x)].unwrap(x)


def namespace(x: Array) -> Any:
    """The array API namespace of the library of `x`."""
    return _OF[type(x)].xp


def library(x: Array) -> str:
    """The name of the library of `x`, such as "torch"."""
    return _OF[type(x)].name


def kind(x: Array) -> str:
    """The kind of the dtype of `x`: "float", "half", "integer", "bool" or "other"."""
    return _OF[type(x)].kind(x)


def device(x: Array) -> str:
    """Where `x` lives, in words; empty where the library decides that itself."""
    return _OF[type(x)].device(x)


def dense(x: Array) -> bool:
    """Whether every entry of `x` is stored."""
    return _OF[type(x)].dense(x)


def memory(x: Array) -> int:
    """The bytes that the entries of `x` take."""
    return _OF[type(x)].memory(x)


def beside(values: Any, x: Array) -> Array:
    """Numbers as an array of the library of `x`, beside `x`, of a dtype of their own."""
    return _OF[type(x)].beside(values, x)


def like(values: Any, x: Array, dtype: Any = None) -> Array:
    """`values` as an array of the library of `x`, beside `x`; of the dtype of `x` unless told."""
    return _OF[type(x)].like(values, x, x.dtype if dtype is None else dtype)


def arange(count: int, x: Array) -> Array:
    """0, 1, ... count - 1 beside `x`, in the dtype of `as_index`."""
    return _OF[type(x)].arange(count, x)


def numbered(count: int, x: Array) -> Array:
    """0, 1, ... count - 1 along the first axis of an array with as many axes as `x`."""
    return _OF[type(x)].xp.reshape(arange(count, x), (count,) + (1,) * (x.ndim - 1))


def concrete(x: Array) -> bool:
    """Whether `x` holds values now, and does not stand for them in a traced function."""
    return _OF[type(x)].concrete(x)


def compiling() -> bool:
    """Whether a compiler of a library reads this code rather than runs it."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.compiler.is_compiling())


def checks_values(*arrays: Array) -> bool:
    """Whether the values of the arrays are to be checked.

    By default where that is cheap: eagerly on the CPU. `SPIKELOSS_CHECKS=on` checks on accelerators
    too, at the price of a synchronisation; `SPIKELOSS_CHECKS=off` never checks. Nothing can be
    checked under tracing.
    """
    switch = os.environ.get("SPIKELOSS_CHECKS", "auto")
    if switch not in ("auto", "on", "off"):
        raise ValueError(f"SPIKELOSS_CHECKS: expected auto, on or off, got {switch!r}. Unset it.")
    if switch == "off":
        return False
    for x in arrays:
        known = _OF[type(x)]
        if not (known.concrete(x) if switch == "on" else known.readable(x)):
            return False
    return True


def extent(x: Array) -> tuple[Any, Any]:
    """The smallest and the largest entry as Python numbers; nan if there is any."""
    return _OF[type(x)].extent(x)


def settled(x: Array) -> Array:
    """An array whose values are read by a check: what is asked of it has an answer at once."""
    return _OF[type(x)].settled(x)


def listed(x: Array) -> Any:
    """The entries of `x` as Python numbers, in nested lists; of a 0-d array the number."""
    return _OF[type(x)].listed(x)


def constant(x: Array) -> Array:
    """`x` with the derivative zero."""
    return _OF[type(x)].constant(x)


def slope(function: Callable[[Array], Array], x: Array) -> Array | None:
    """The gradient of the sum of what a function gives for `x`; None: its library has none."""
    return _OF[type(x)].slope(function, x)


def deriving(x: Array) -> Callable[[Array], Array] | None:
    """What makes of arrays of the library of `x` such as derivatives can be of; None: nothing."""
    known = _OF[type(x)]
    if isinstance(known, (Torch, Jax)):
        return known.copied
    found = next((kind() for kind in (Torch, Jax) if find_spec(kind.name) is not None), None)
    return None if found is None or known.name != "numpy" else found.copied


def by_class(label: Array, classes: int, like: Array, on: Any, off: Any) -> Array:
    """on where the class is the label, else off: (*S) to (*S, C), in the dtype of `like`.

    nan for a traced label that is no class: it cannot be checked.
    """
    return _OF[type(like)].by_class(label, classes, like, on, off)


def entries(x: Array, label: Array) -> Array:
    """x_label, (K) and (*S) to (*S); of the nearest that there is, where the label is none."""
    return x[_OF[type(x)].xp.clip(label, 0, x.shape[0] - 1)]


def squared_difference(z: Array, y: Array, valid: Array | None = None) -> Array:
    """(z - y)^2; 0 where it is not valid, whatever z and y hold there."""
    return _OF[type(z)].squared_difference(z, y, valid)


def absolute(x: Array) -> Array:
    """|x|, whose derivative is 0 at 0 in every library."""
    return _OF[type(x)].xp.where(x == 0, 0, _OF[type(x)].xp.abs(x))


def signature(*given: Any) -> Any:
    """What arrays of one library have in common with others of their kind, None for None; hashable.

    None where one of them is something else, or traced, so that nothing can be kept for it.
    """
    found: list[Any] = []
    first = None
    for x in given:
        if x is None:
            found.append(None)
            continue
        known = _OF.get(type(x)) or (_OF[type(x)] if is_array(x) else None)
        kind = None if known is None else known.signature(x)
        if kind is None or (first is not None and known is not first):
            return None
        first = known
        found.append(kind)
    return tuple(found)


def across(
    x: Array, names: str | tuple[str, ...], averaged: bool, sums: tuple[bool, ...]
) -> tuple[Array, Array | None] | Lack:
    """The sum of a vector over ranks, and whether all mean the same by it; None: they do.

    `averaged`: whether what is derived from it will be averaged over the ranks, or else summed;
    `sums`: which of the terms that it is of are sums.
    """
    return _OF[type(x)].across(x, names, averaged, sums)


def select(valid: Array, x: Array, fill: float = 0.0) -> Array:
    """x where it is valid, else that number; `valid` broadcasts against x."""
    return _OF[type(x)].select(valid, x, fill)


def sum_of_all(x: Array) -> Array:
    """The sum of all entries, 0-d."""
    return _OF[type(x)].sum_of_all(x)


def where(condition: Array, a: Any, b: Any) -> Array:
    """a where the condition holds, else b; one of them an array, of the dtype of the result."""
    return _OF[type(condition)].where(condition, a, b)


def or_nonzero(known: Array, x: Array) -> Array:
    """Whether it is known, or x is not 0."""
    return _OF[type(x)].or_nonzero(known, x)


def mean_of_all(x: Array, parts: int = 1) -> Array:
    """The mean of all entries, each a sum of so many parts, 0-d; nan where there is none."""
    return _OF[type(x)].mean_of_all(x, parts) if 0 not in x.shape else sum_of_all(x) / math.nan


def begun(x: Array) -> tuple[Array, Array | None]:
    """A sum to which many numbers can be added: in more digits, or with what it lost beside it."""
    return _OF[type(x)].begun(x)


def added(
    a: tuple[Array, Array | None], b: tuple[Array, Array | None]
) -> tuple[Array, Array | None]:
    """The sum of both, and what it lost, if that of one of them is known."""
    return _OF[type(b[0])].added(a, b)


def time_sum(x: Array) -> Array:
    """sum_t x_t over the first axis, in float32 right to 3e-6 for 10^5 numbers of one sign."""
    return _OF[type(x)].time_sum(x)


def count_true(mask: Array) -> Array:
    """How many entries of the first axis are true, in the dtype of `as_index`."""
    return _OF[type(mask)].count_true(mask)


def lost(a: Array, b: Array) -> Array:
    """(a + b) - what a + b rounds to, exactly; 0 where the sum is not finite. A constant."""
    return _OF[type(a)].lost(constant(a), constant(b))


def carried(value: Array, rest: Array, x: Array) -> tuple[Array, Array]:
    """value + rest + x, with the derivative of value + x, and what that lost; a constant."""
    return _OF[type(x)].carried(value, constant(rest), x)


def precise_sum(x: Array) -> Array:
    """The sum over the first axis as if rounded once, in whatever order its numbers come."""
    return _OF[type(x)].precise_sum(x)


def product(a: Array, b: Array) -> Array:
    """The matrix product a b, computed in the dtype of its factors whatever the context says."""
    return _OF[type(a)].product(a, b)


def squared_distances(x: Array) -> Array:
    """sum_k (x_ik - x_jk)^2, (B, K) to (B, B): without cancellation, in the memory of x.

    Its derivative is that of |x_i|^2 + |x_j|^2 - 2 x_i x_j, where numbers that cancel do no harm.
    """
    known = _OF[type(x)]
    square = known.xp.sum(x * x, axis=-1)
    smooth = square[:, None] + square[None, :] - 2 * known.product(x, x.T)
    distances = known.constant(known.squared_distances(known.constant(x)))
    return distances + (smooth - known.constant(smooth))


def power(x: Any, exponent: int) -> Any:
    """x^exponent, 1 or 2, as a product: to a compiler an option may be a number yet unknown."""
    return x * x if exponent == 2 else x


def log_softmax(z: Array) -> Array:
    """z_c - log sum_k exp z_k over the last axis, shifted first, so that nothing overflows."""
    return _OF[type(z)].log_softmax(z)


def softmax(z: Array, valid: Array | None = None) -> Array:
    """e^z_c / sum_k e^z_k over the last axis; 0 for a row that is not valid."""
    return _OF[type(z)].softmax(z, valid)


def exponential(x: Array, shift: Array) -> Array:
    """e^(x - shift)."""
    return _OF[type(x)].exponential(x, shift)


def as_array(x: Array, dtype: Any) -> Array:
    """`x` with that dtype; a NumPy scalar becomes a 0-d array."""
    return _OF[type(x)].as_array(x, dtype)


def as_index(label: Array) -> Array:
    """Integers of any dtype in the one that the library indexes with.

    Numbers too large for it, which would become others, become the largest of it: no index either.
    """
    return _OF[type(label)].index(label)


def surprise(z: Array, label: Array, valid: Array | None = None) -> Array:
    """-log softmax(z)_label, keeping the last axis; `label` broadcasts against z.shape[:-1].

    0 for a row that is not valid, whatever z holds there.
    """
    return _OF[type(z)].surprise(z, label, valid)


def at(x: Array, step: Array) -> Array:
    """x[step] over the first axis; `step` is (*rest) or, for several steps, (F, *rest)."""
    if step.ndim == x.ndim:
        return _OF[type(x)].at(x, step)
    return _OF[type(x)].at(x, step[None, ...])[0, ...]


def running_sum(x: Array) -> Array:
    """sum_{s <= t} x_s over the first axis."""
    return _OF[type(x)].running_sum(x)


def accumulate(values: Array, index: Array, size: int) -> Array:
    """The sums of the values with each index, (E) to (size); those at index `size` are left out."""
    return _OF[type(values)].accumulate(values, index, size)


def scatter(values: Array, index: Array, size: int, fill: float) -> Array:
    """The value with each index, (E) to (size), `fill` where there is none; as in `accumulate`."""
    return _OF[type(values)].scatter(values, index, size, fill)


def ctc(log_p: Array, labels: Array, steps: Array, count: Array, blank: int) -> Array:
    """-log of the probability of label sequences, (B).

    log_p (T, B, C), labels (B, L) of which the first `count` (B) are meant, `steps` (B) valid.
    """
    return _OF[type(log_p)].ctc(log_p, labels, steps, count, blank)


def scan(step: Any, carry: Any, given: tuple[Array, ...]) -> tuple[Any, Array]:
    """carry, y_d = step(carry, x_d) for one entry x_d of `given` after the other; y stacked."""
    return _OF[type(given[0])].scan(step, carry, given)


def is_ragged(x: Any) -> bool:
    """Whether `x` is a PackedSequence or a nested tensor of torch."""
    return type(x).__name__ == "PackedSequence" or getattr(x, "is_nested", False) is True


def padded(ragged: Any) -> tuple[Array, Array]:
    """A ragged record as one with padding, time first, and the lengths of its samples."""
    found: tuple[Array, Array] = Torch().padded(ragged)
    return found


def coordinates(sparse: Any) -> tuple[tuple[Array, ...], Array]:
    """The indices along each axis of the entries of a sparse COO array, and the entries."""
    if hasattr(sparse, "coords"):  # scipy
        return tuple(sparse.coords), sparse.data
    if hasattr(sparse, "indices") and hasattr(sparse, "data") and hasattr(sparse, "nse"):  # JAX
        return tuple(sparse.indices.T), sparse.data
    sparse = sparse.coalesce()
    return tuple(sparse.indices()), sparse.values()


def first_nonzero(x: Array) -> Array:
    """min{t: x_t != 0} over the first axis, as integers; T where there is none."""
    return _OF[type(x)].first_nonzero(x)


def maximum(x: Array) -> Array:
    """max_t x_t over the first axis; the derivative goes to the first step that reaches it."""
    return _OF[type(x)].maximum(x)


def spike_time(x: Array, negative: bool = False) -> Array:
    """t = min{t: x_t != 0} over the first axis, T - 1 where there is none, or -t.

    (T, *S) to (*S), in the dtype of x; dt/dx is -1 at that step and 0 elsewhere.
    """
    return _OF[type(x)].spike_time(x, negative)
