"""Checks of arrays: their library, their device, their dtype."""

from contextlib import suppress
from typing import Any

from spikeloss._backend import (
    adapter,
    beside,
    checks_values,
    extent,
    is_array,
    kind,
    like,
    namespace,
    unwrap,
)
from spikeloss._backend import dense as is_dense
from spikeloss._shapes import Array

from ._words import article, cast, cut, module_of, refuse, said, span


def array(argument: str, value: Any) -> Array:
    """An array of any of the libraries."""
    if is_array(value):
        return unwrap(value)
    rule = "a torch tensor, a JAX array or a NumPy array"
    fix = "Convert it with torch.as_tensor, jax.numpy.asarray or numpy.asarray."
    if isinstance(value, (list, tuple)) and value and is_array(value[0]):
        steps = isinstance(value, list)  # collected in a loop; a tuple is of several results
        fix = f"Write {module_of(value[0])}.stack({argument})." if steps else (
            f"Pass one of them, as in {argument}[0]."
        )  # fmt: skip
    elif value is None or isinstance(value, (str, type)):
        fix = "Pass an array (time, *batch, neurons)."
    refuse(argument, rule, said(value), fix, TypeError)


def precision(x: Array) -> tuple[Any, Any]:
    """The dtype to compute a record in, None for its own, and the dtype of the result."""
    if not is_dense(x):
        refuse("record", "a dense tensor", x.layout, "Write record.to_dense().", TypeError)
    xp, sort = namespace(x), real_kind("record", x)
    if sort == "float":
        return None, x.dtype
    return xp.float32, x.dtype if sort == "half" else xp.float32


def exact(argument: str, x: Array) -> None:
    """Integers that stay what they are in float32: those beyond 2^24 become others."""
    if kind(x) != "integer" or 0 in x.shape or not checks_values(x):
        return
    low, high = extent(x)
    if max(-low, high) > 2**24:
        rule = f"integers up to {2**24}, which float32 holds"
        refuse(argument, rule, span(low, high), "Subtract a common start, or pass float64.")


def real_kind(argument: str, x: Array) -> str:
    """The kind of the dtype, which is none of complex numbers or objects."""
    sort = kind(x)
    if sort == "other":
        rule = "a real floating, integer or bool dtype"
        refuse(argument, rule, x.dtype, cast(argument, x, "float"), TypeError)
    return sort


def beside_record(argument: str, value: Any, x: Array) -> Array:
    """`value` as an array of the library and the device of `x`; nothing is moved."""
    if not is_array(value):
        return _listed(argument, value, x)
    value = unwrap(value)
    ours, theirs = adapter(x), adapter(value)
    if ours.name != theirs.name:
        if theirs.name in ours.takes and kind(value) != "other":
            return beside(value, x)
        which, to = ("record", theirs) if ours.yields else (argument, ours)
        fix = f"Write {to.converter}({which})."
        refuse(argument, f"{ours.article} like the record", theirs.article, fix, TypeError)
    if ours.apart and ours.device(x) != ours.device(value):
        rule = f"{ours.noun} on {ours.device(x)} like the record"
        refuse(argument, rule, f"one on {ours.device(value)}", ours.move(argument, x))
    return value


def _coarser(made: Array, x: Array) -> bool:
    """Whether a library makes numbers of a lower precision than that of `x`."""
    xp = namespace(x)
    floats = kind(made) == kind(x) == "float"
    return bool(floats and xp.finfo(made.dtype).bits < xp.finfo(x.dtype).bits)


def _listed(argument: str, value: Any, x: Array) -> Array:
    """A number or a list of numbers as an array beside `x`."""
    listed = isinstance(value, (int, float, list, tuple, range))
    if listed:
        with suppress(TypeError, ValueError, RuntimeError, OverflowError):
            made = beside(value, x)
            if kind(made) != "other":
                return like(value, x) if _coarser(made, x) else made
    fix = "Write it as numbers, in rows of one length." if listed else f"Pass {article(x)}."
    got = cut(repr(value)) if listed else said(value)
    refuse(argument, f"{article(x)} like the record", got, fix, TypeError)
